//! What an instance runs first: a script with the server's name, where the host is, and the token to report with.

/// The most bytes of user data before they are encoded: EC2's own limit.
pub const USER_DATA_BYTES_MAX: usize = 16 << 10;

/// The script where the operator gives none: it leaves the agent's environment where its unit looks for it, and starts it. The image
/// brings the agent and the media server.
pub const USER_DATA: &str = "\
#!/bin/sh
# Written by Usher for {{server}}, attempt {{attempt}}.
set -eu
umask 077
mkdir -p /etc/usher
cat > /etc/usher/agent.env <<'USHER'
USHER_URL={{url}}
USHER_SERVER={{server}}
USHER_TOKEN={{token}}
USHER_AGENT_SPOT_NOTICES=true
USHER
systemctl enable usher-agent.service
systemctl restart usher-agent.service
";

/// The words that stand in double braces, and are replaced.
pub const WORDS: [&str; 8] = ["server", "attempt", "pool", "fleet", "region", "zone", "url", "token"];

/// What the words stand for.
#[cfg(any(test, feature = "ec2"))]
pub(crate) struct Words<'a> {
    pub(crate) server: &'a str,
    pub(crate) attempt: String,
    pub(crate) pool: &'a str,
    pub(crate) fleet: &'a str,
    pub(crate) region: &'a str,
    pub(crate) zone: &'a str,
    pub(crate) url: &'a str,
    pub(crate) token: String,
}

#[cfg(any(test, feature = "ec2"))]
impl Words<'_> {
    fn value(&self, word: &str) -> Option<&str> {
        Some(match word {
            "server" => self.server,
            "attempt" => &self.attempt,
            "pool" => self.pool,
            "fleet" => self.fleet,
            "region" => self.region,
            "zone" => self.zone,
            "url" => self.url,
            "token" => &self.token,
            _ => return None,
        })
    }
}

/// Returns the user data of one instance.
#[cfg(any(test, feature = "ec2"))]
pub(crate) fn rendered(template: &str, words: &Words<'_>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        match after
            .split_once("}}")
            .map(|(word, after)| (words.value(word.trim()), after))
        {
            Some((Some(value), after)) => {
                text.push_str(value);
                rest = after;
            }
            Some((None, _)) | None => {
                text.push_str("{{");
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// Returns the words in double braces that stand for nothing: most likely misspelt ones.
pub fn unknown_words(template: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    for after in template.split("{{").skip(1) {
        let Some((word, _)) = after.split_once("}}") else {
            continue;
        };
        let word = word.trim();
        let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_word && !WORDS.contains(&word) {
            unknown.push(word.to_owned());
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words<'static> {
        Words {
            server: "cloud-7",
            attempt: "2".into(),
            pool: "cloud",
            fleet: "acme",
            region: "eu-central-1",
            zone: "eu-central-1a",
            url: "https://usher.example",
            token: "secret".into(),
        }
    }

    #[test]
    fn words_in_double_braces_are_replaced_and_nothing_else() {
        let template = "{{server}}/{{ attempt }} ${HOME} {{unknown}} {{ {{token}} {server} {{";
        assert_eq!(
            rendered(template, &words()),
            "cloud-7/2 ${HOME} {{unknown}} {{ secret {server} {{"
        );
        assert_eq!(unknown_words(template), ["unknown"]);
    }

    #[test]
    fn our_own_script_knows_all_its_words() {
        assert!(unknown_words(USER_DATA).is_empty());
        let script = rendered(USER_DATA, &words());
        assert!(script.contains("USHER_SERVER=cloud-7\n") && !script.contains("{{"));
        assert!(script.contains("USHER_AGENT_SPOT_NOTICES=true\n"));
        let every: Vec<&str> = WORDS
            .iter()
            .filter_map(|word| words().value(word).map(|_| *word))
            .collect();
        assert_eq!(every, WORDS);
    }
}
