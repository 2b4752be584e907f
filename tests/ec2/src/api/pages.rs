//! Long answers in pages: how many, from where, and the token that leads on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Ec2Error;
use crate::query::Query;

/// The most that a page may be asked to hold.
const PAGE_MAX: usize = 1000;

/// What the tokens of this service begin with, so that those of others are refused.
const TOKEN_PREFIX: &str = "after:";

/// A page that is asked for.
pub(super) struct Page {
    size: usize,
    after: Option<u64>,
}

impl Page {
    /// Reads which page is asked for; `size_min` is the smallest that this action allows.
    pub(super) fn asked(query: &Query, size_min: usize) -> Result<Page, Ec2Error> {
        let size = match query.number::<usize>("MaxResults")? {
            None => usize::MAX,
            Some(size) if (size_min..=PAGE_MAX).contains(&size) => size,
            Some(size) => {
                let why = format!("Expecting a value between {size_min} and {PAGE_MAX}");
                return Err(Ec2Error::invalid_value("maxResults", &size.to_string(), &why));
            }
        };
        let after = query.get("NextToken").map(read_token).transpose()?;
        Ok(Page { size, after })
    }

    /// Returns whether any was asked for, and not simply all.
    pub(super) fn is_asked(&self) -> bool {
        self.size != usize::MAX || self.after.is_some()
    }

    /// Cuts the page out of things that come in the order of their numbers, and returns the next page's token, if there is one.
    pub(super) fn cut<T>(&self, mut things: Vec<T>, number: impl Fn(&T) -> u64) -> (Vec<T>, Option<String>) {
        if let Some(after) = self.after {
            things.retain(|thing| number(thing) > after);
        }
        let is_more = things.len() > self.size;
        things.truncate(self.size);
        let last = things.last().filter(|_| is_more).map(number);
        (
            things,
            last.map(|last| STANDARD.encode(format!("{TOKEN_PREFIX}{last}"))),
        )
    }

    /// Cuts the page out of things that never change their places.
    pub(super) fn cut_list<T>(&self, things: Vec<T>) -> (Vec<T>, Option<String>) {
        let numbered: Vec<(u64, T)> = (1..).zip(things).collect();
        let (cut, token) = self.cut(numbered, |(number, _)| *number);
        (cut.into_iter().map(|(_, thing)| thing).collect(), token)
    }
}

fn read_token(token: &str) -> Result<u64, Ec2Error> {
    let bytes = STANDARD.decode(token).map_err(|_| Ec2Error::InvalidNextToken)?;
    let text = String::from_utf8(bytes).map_err(|_| Ec2Error::InvalidNextToken)?;
    let number = text.strip_prefix(TOKEN_PREFIX).and_then(|number| number.parse().ok());
    number.ok_or(Ec2Error::InvalidNextToken)
}
