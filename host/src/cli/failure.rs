//! Why a command was not done: a sentence that says what to do, and an exit code for scripts.

use std::io::Write;
use std::process::ExitCode;

use serde::Deserialize;

use crate::config::ConfigProblems;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line contradicts itself.
    #[error("{0}")]
    Usage(String),
    /// The config file has problems.
    #[error("{0}")]
    Config(ConfigProblems),
    /// The host refused, and said why.
    #[error("{0}")]
    Refused(Problem),
    /// No host was reached.
    #[error(
        "no host answers at {url} ({why}); start one with `usher serve`, or say where it is with --url or USHER_URL"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What happened instead.
        why: String,
    },
    /// A host answers, and cannot prove who it is.
    #[error(
        "the certificate of {url} is not trusted ({why}); ask by a name that it has, and where a private authority made it, \
         name that with --ca-file or USHER_CA_FILE"
    )]
    Untrusted {
        /// Where it was asked.
        url: String,
        /// What is wrong with its certificate.
        why: String,
    },
    /// A host was asked by HTTPS, and does not speak it.
    #[error("{url} speaks no TLS; write http:// instead of https://, if nobody reads along on the way")]
    NoTls {
        /// Where it was asked.
        url: String,
    },
    /// What came is not what a host says.
    #[error("{url} answered what Usher does not: {why}; is something else listening there?")]
    Strange {
        /// Who answered.
        url: String,
        /// What.
        why: String,
    },
    /// It could not be done here.
    #[error("{0:#}")]
    Undone(anyhow::Error),
    /// The output could not be written.
    #[error("the output cannot be written")]
    Output(#[source] std::io::Error),
    /// The host in this process ended with an error.
    #[error("{0:#}")]
    Ended(anyhow::Error),
}

/// A problem document (RFC 9457), as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    title: String,
    #[serde(default)]
    detail: Option<String>,
    code: String,
    #[serde(default)]
    retry_after_seconds: Option<u32>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.title)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        write!(f, " ({})", self.code)?;
        if let Some(seconds) = self.retry_after_seconds {
            write!(f, "; try again in {seconds} s")?;
        }
        if self.code == "unauthenticated" {
            f.write_str("; set USHER_TOKEN to a token that the config file's [auth] has the hash of")?;
        }
        Ok(())
    }
}

impl Failure {
    /// Returns the exit code that `usher --help` lists.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Config(_)
            | Failure::Strange { .. }
            | Failure::Undone(_)
            | Failure::Output(_)
            | Failure::Ended(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Refused(_) => 3,
            Failure::Unreachable { .. } | Failure::Untrusted { .. } | Failure::NoTls { .. } => 4,
        }
    }

    /// Writes why, and returns the exit code. A reader that has gone (`usher rooms | head`) is no failure.
    pub fn tell(&self, err: &mut dyn Write) -> ExitCode {
        if let Failure::Output(error) = self
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            return ExitCode::SUCCESS;
        }
        // Where stderr is closed too, the exit code says it.
        let _ = writeln!(err, "usher: {self}");
        ExitCode::from(self.exit_code())
    }
}

impl From<ConfigProblems> for Failure {
    fn from(problems: ConfigProblems) -> Failure {
        Failure::Config(problems)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Output(error)
    }
}
