//! What is wrong with a config file: where, which key, what, and what to write instead.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing that is wrong, or allowed and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, from 1; `None` where it is about something that is not written.
    pub line: Option<usize>,
    /// The key, with the tables around it: `pool[2].exec.launch`. Empty where it is about the whole file.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What to write or do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.wrong)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Every problem of a config file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// What must be changed before it is taken; never empty.
    pub problems: Vec<Problem>,
    /// What else was noticed.
    pub warnings: Vec<Problem>,
}

impl ConfigProblems {
    /// Returns that a file cannot be read.
    pub(super) fn unreadable(file: &Path, wrong: String) -> ConfigProblems {
        let problem = Problem {
            line: None,
            key: String::new(),
            wrong: format!("the file cannot be read: {wrong}"),
            remedy: "name another with --config, or print one to start from with `usher config reference`".to_owned(),
        };
        ConfigProblems {
            file: Some(file.to_owned()),
            problems: vec![problem],
            warnings: Vec::new(),
        }
    }

    /// Says which file they are of.
    pub(super) fn of_file(mut self, file: &Path) -> ConfigProblems {
        self.file = Some(file.to_owned());
        self
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("1 problem")?,
            n => write!(f, "{n} problems")?,
        }
        match &self.file {
            Some(file) => write!(f, " in {}", file.display())?,
            None => f.write_str(" in the configuration")?,
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigProblems {}

/// Gathers problems while a file is read and resolved, so that one does not hide the others.
#[derive(Debug)]
pub(super) struct Collector<'t> {
    text: &'t str,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'t> Collector<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Collector {
            text,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds something that must be changed.
    pub(super) fn problem(&mut self, at: &Place, wrong: impl Into<String>, remedy: impl Into<String>) {
        let problem = self.made(at, wrong.into(), remedy.into());
        self.problems.push(problem);
    }

    /// Adds something that is allowed and probably not meant.
    pub(super) fn warning(&mut self, at: &Place, wrong: impl Into<String>, remedy: impl Into<String>) {
        let warning = self.made(at, wrong.into(), remedy.into());
        self.warnings.push(warning);
    }

    /// Returns `value` with the warnings, or all problems.
    pub(super) fn finish(mut self, config: super::Config) -> Result<super::Config, ConfigProblems> {
        // What could be read of a line that is no TOML is not judged too.
        let broken: Vec<Option<usize>> = self
            .problems
            .iter()
            .filter(|p| p.key.is_empty())
            .map(|p| p.line)
            .collect();
        self.problems
            .retain(|problem| problem.key.is_empty() || !broken.contains(&problem.line));
        for list in [&mut self.problems, &mut self.warnings] {
            list.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        }
        if self.problems.is_empty() {
            Ok(super::Config {
                warnings: self.warnings,
                ..config
            })
        } else {
            Err(ConfigProblems {
                file: None,
                problems: self.problems,
                warnings: self.warnings,
            })
        }
    }

    fn made(&self, at: &Place, wrong: String, remedy: String) -> Problem {
        let line = at.span.as_ref().map(|span| line_of(self.text, span.start));
        Problem {
            line,
            key: at.key.clone(),
            wrong,
            remedy,
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// A key with the tables around it, and where it stands in the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// `pool[2].exec.launch`.
    pub(super) key: String,
    /// Bytes of the text; `None` where it is not written.
    pub(super) span: Option<Range<usize>>,
}

impl Place {
    /// Returns the place of a key within this table, at `span`.
    pub(super) fn key(&self, key: &str, span: Range<usize>) -> Place {
        Place {
            key: self.path(key),
            span: Some(span),
        }
    }

    /// Returns the place of a key that is missing in this table: the table's own line.
    pub(super) fn missing(&self, key: &str) -> Place {
        Place {
            key: self.path(key),
            span: self.span.clone(),
        }
    }

    /// Returns the place of one of a list's values, counted from 1.
    pub(super) fn item(&self, index: usize, span: Range<usize>) -> Place {
        Place {
            key: format!("{}[{}]", self.key, index + 1),
            span: Some(span),
        }
    }

    fn path(&self, key: &str) -> String {
        if self.key.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.key)
        }
    }
}
