//! Which of a server's tokens counts: the first is exchanged at its first use, so that what lay in an instance's user data is worth
//! nothing afterwards.

use super::Fleet;
use crate::command::{Rejection, Reply, TokenNo};
use crate::ids::{ServerName, ServerNo};
use crate::server::AgentToken;

impl Fleet {
    /// Revokes a server's tokens, and numbers the next one.
    pub(super) fn renew_token(&mut self, server: &ServerName) -> Result<Reply, Rejection> {
        let no = self.number(server)?;
        let before = self.known(no, server)?.record.token;
        // By the clock, so that what a newer copy of this store has numbered since counts no more.
        let token = AgentToken {
            generation: before.generation.saturating_add(1).max(self.now.seconds()),
            is_taken: true,
        };
        self.change_server(no, |record| record.token = token);
        Ok(token_reply(server, no, token.generation))
    }

    /// Takes a token that an agent reports with, and says which it is to use from now on.
    pub(super) fn use_token(&mut self, token: TokenNo) -> Result<Reply, Rejection> {
        let no = self.number(&token.server)?;
        let server = self.known(no, &token.server)?;
        let (before, is_launched) = (server.record.token, self.is_automatic(server));
        if no != token.no || !before.accepts(token.generation) {
            return Err(Rejection::TokenRevoked(token.server));
        }
        let is_newest = token.generation == before.generation;
        let after = match before.generation {
            known if token.generation > known => AgentToken {
                generation: token.generation,
                is_taken: true,
            },
            // What lay in its user data anybody on the instance may have read.
            0 if is_launched => AgentToken {
                generation: 1,
                is_taken: false,
            },
            generation => AgentToken {
                generation,
                is_taken: before.is_taken || is_newest,
            },
        };
        self.change_server(no, |record| record.token = after);
        Ok(token_reply(&token.server, no, after.generation))
    }
}

fn token_reply(server: &ServerName, no: ServerNo, generation: u32) -> Reply {
    Reply::Token(TokenNo {
        server: server.clone(),
        no,
        generation,
    })
}
