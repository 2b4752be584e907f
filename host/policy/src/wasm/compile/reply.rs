//! What the compiling child says to its parent: the length of a header, the header, and machine code to the end.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::MakeError;
use crate::wasm::module::Parts;

/// The longest header, in bytes: parts, or an error whose words are bounded.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// How many bytes say how long the header is.
const LENGTH_BYTES: usize = 4;

/// What comes first, as JSON.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    made: Result<Made, MakeError>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    parts: Parts,
    /// How many bytes of machine code follow: a child that ends too early is noticed.
    code_bytes: usize,
}

/// Writes an answer.
///
/// # Errors
/// The pipe is closed: the parent has given up, or is gone.
pub(super) fn write(output: &mut dyn Write, made: Result<(Parts, Vec<u8>), MakeError>) -> io::Result<()> {
    let (made, code) = match made {
        Ok((parts, code)) => (
            Ok(Made {
                parts,
                code_bytes: code.len(),
            }),
            code,
        ),
        Err(error) => (Err(error), Vec::new()),
    };
    let header = serde_json::to_vec(&Header { made })?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(&header)?;
    output.write_all(&code)?;
    output.flush()
}

/// Reads a whole answer; none if it is not whole, or none at all.
pub(super) fn read(reply: &[u8]) -> Option<Result<(Parts, &[u8]), MakeError>> {
    let (length, rest) = reply.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length > HEADER_BYTES_MAX {
        return None;
    }
    let (header, code) = rest.split_at_checked(length)?;
    match serde_json::from_slice::<Header>(header).ok()?.made {
        Ok(made) => (code.len() == made.code_bytes).then_some(Ok((made.parts, code))),
        Err(error) => Some(Err(error)),
    }
}
