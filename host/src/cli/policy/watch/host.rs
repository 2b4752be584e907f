//! What a host makes of a module that was put into a folder, if one answers.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::HostArgs;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::policy::report::seconds;

/// From one question to the next.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long a host has to look at a module before it is said that it still does. It reads its folder every 2 s; the largest modules
/// that it takes compile for 20 s, longer on a busy machine.
const LOOK_MAX: Duration = Duration::from_secs(40);
/// How long a host that does not even see the module is asked: it watches another folder, or cannot read the file.
const SEE_MAX: Duration = Duration::from_secs(5);

/// A host that may be there.
pub(super) struct Host {
    client: Client,
    url: String,
    /// What was last said of a host that does not answer: it is said once.
    complaint: Option<String>,
}

/// How a host stands to a module.
#[derive(Debug, PartialEq, Eq)]
enum Stance {
    /// Its folder does not hold the module.
    Unseen,
    /// It could not read its folder's file of that name: this one, or still the one before.
    Unread {
        step: String,
        problem: String,
    },
    /// It looks at it.
    Looking,
    Serving,
    Refused {
        step: String,
        problem: String,
    },
    /// The version before it serves.
    KeptOut {
        problem: String,
    },
}

impl Host {
    /// Takes where it may be.
    pub(super) fn new(args: &HostArgs) -> Result<Host, Failure> {
        Ok(Host {
            client: Client::new(args)?,
            url: args.url.clone(),
            complaint: None,
        })
    }

    /// Waits for the host's word on the module that was just put into the folder, and returns it as a line; none where nobody
    /// answers and that was said before.
    pub(super) async fn follow(&mut self, policy: &str, sha256: &str) -> Result<Option<String>, Failure> {
        let placed = Instant::now();
        let mut is_first = true;
        loop {
            let stance = match self.client.get("/v1/policies").await {
                Ok(answer) => stance(&answer.json, policy, sha256),
                Err(failure) => return Ok(self.complain(&failure)),
            };
            self.complaint = None;
            let after = placed.elapsed();
            match stance {
                Stance::Serving if is_first => return Ok(Some("the host serves it already".to_owned())),
                Stance::Serving => return Ok(Some(format!("the host serves it, {} later", seconds(after)))),
                Stance::Refused { step, problem } => return Ok(Some(refusal(&step, &problem))),
                Stance::Unread { step, problem } if after > SEE_MAX => return Ok(Some(refusal(&step, &problem))),
                Stance::KeptOut { problem } => {
                    return Ok(Some(format!(
                        "the version before it serves, until the module or its settings change: {problem}"
                    )));
                }
                Stance::Unseen if after > SEE_MAX => {
                    return Ok(Some(format!(
                        "the host at {} does not see it; it watches another folder",
                        self.url
                    )));
                }
                Stance::Looking if after > LOOK_MAX => {
                    return Ok(Some(format!("the host at {} still looks at it", self.url)));
                }
                Stance::Unseen | Stance::Unread { .. } | Stance::Looking => tokio::time::sleep(ASK_EVERY).await,
            }
            is_first = false;
        }
    }

    /// Returns what is wrong, unless it was said before.
    fn complain(&mut self, failure: &Failure) -> Option<String> {
        let complaint = match failure {
            Failure::Unreachable { url, .. } => {
                format!("no host answers at {url}; when one starts it takes what is in its folder")
            }
            other => other.to_string(),
        };
        let is_said = self.complaint.as_ref() == Some(&complaint);
        self.complaint = Some(complaint.clone());
        (!is_said).then_some(complaint)
    }
}

fn refusal(step: &str, problem: &str) -> String {
    format!("the host refused it at the gate `{step}`: {problem}")
}

fn stance(policies: &Value, policy: &str, sha256: &str) -> Stance {
    let named = |it: &&Value| it["name"] == policy;
    let found = policies["policies"].as_array().and_then(|all| all.iter().find(named));
    let Some(wanted) = found.map(|it| &it["wanted"]) else {
        return Stance::Unseen;
    };
    let text = |key: &str| wanted[key].as_str().unwrap_or_default().to_owned();
    // What could not be read has no hash.
    if wanted["sha256"] == "" && wanted["state"] == "refused" {
        return Stance::Unread {
            step: text("step"),
            problem: text("problem"),
        };
    }
    if wanted["sha256"] != sha256 {
        return Stance::Unseen;
    }
    match text("state").as_str() {
        "serving" => Stance::Serving,
        "refused" => Stance::Refused {
            step: text("step"),
            problem: text("problem"),
        },
        "quarantined" | "rolled_back" => Stance::KeptOut {
            problem: text("problem"),
        },
        _ => Stance::Looking,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_module_is_known_by_its_name_and_hash() {
        let wanted = |state: &str| {
            json!({ "policies": [
                { "name": "standard", "wanted": null },
                { "name": "50-night", "wanted": { "sha256": "ab", "state": state, "step": "trial", "problem": "it panicked" } },
            ] })
        };
        let of = |state: &str| stance(&wanted(state), "50-night", "ab");
        assert_eq!((of("serving"), of("waiting")), (Stance::Serving, Stance::Looking));
        let (step, problem) = ("trial".to_owned(), "it panicked".to_owned());
        assert_eq!(
            of("quarantined"),
            Stance::KeptOut {
                problem: problem.clone()
            }
        );
        assert_eq!(of("refused"), Stance::Refused { step, problem });
        assert_eq!(
            stance(&wanted("serving"), "50-night", "cd"),
            Stance::Unseen,
            "an older one"
        );
        assert_eq!(stance(&wanted("serving"), "standard", "ab"), Stance::Unseen);
        assert_eq!(stance(&json!({}), "50-night", "ab"), Stance::Unseen);
    }

    #[test]
    fn a_module_that_the_host_cannot_read_is_not_in_another_folder() {
        let problem = "50-night.wasm cannot be read: Permission denied";
        let unread = |state: &str| {
            let wanted = json!({ "sha256": "", "state": state, "step": "read", "problem": problem });
            let policies = json!({ "policies": [{ "name": "50-night", "wanted": wanted }] });
            stance(&policies, "50-night", "ab")
        };
        let (step, problem) = ("read".to_owned(), problem.to_owned());
        assert_eq!(unread("refused"), Stance::Unread { step, problem });
        assert_eq!(unread("waiting"), Stance::Unseen);
    }
}
