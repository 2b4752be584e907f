//! The first gates: what a file is, whether it is whole, what it imports and which decisions it exports.
//!
//! A [`Module`] is bytes from the folder; [`Module::check`] makes it a [`Checked`] component or says, in words for its
//! author, what it is instead and how to build a policy. Nothing is compiled or run here.

mod outline;

use serde::{Deserialize, Serialize};

use super::convert::{printable, shortened};
use super::limits::{DECLARATIONS_MAX, FUNCTION_BYTES_MAX};
use crate::version::Hash;
use outline::Outline;
pub(crate) use outline::imports;

/// The contract that this host speaks. Before 1.0 a policy must be built for exactly this one.
pub(crate) const CONTRACT: &str = "0.1.0";
const PACKAGE: &str = "usher:policy/";
const IMPORTS: [&str; 3] = ["types", "host", "local-time"];
/// The most bytes of a file's own names that are repeated to its author, and of what the readers say about it.
const NAME_BYTES_MAX: usize = 200;
/// See [`NAME_BYTES_MAX`]; a chain of causes is longer.
const CAUSES_BYTES_MAX: usize = 2_048;

/// A file's bytes and their hash.
#[derive(Debug)]
pub(crate) struct Module {
    hash: Hash,
    bytes: Vec<u8>,
}

/// A component that imports only what is offered and exports at least one decision.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(super) component: Vec<u8>,
    pub(super) parts: Parts,
}

/// Which parts of the contract a policy exports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) view: bool,
    pub(crate) place: bool,
    pub(crate) scale_up: bool,
    pub(crate) scale_down: bool,
    pub(crate) learned: bool,
}

impl Parts {
    /// Returns whether it takes a scale decision.
    pub(crate) fn scales(self) -> bool {
        self.scale_up || self.scale_down
    }
}

/// Says why a file is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CheckError {
    /// The file ends in the middle of a section; it may still be written.
    #[error("the file ends in the middle; copy it under another name and rename it when it is whole")]
    Incomplete,
    /// It is text.
    #[error("this is text, not WebAssembly; build the policy with `usher policy build`")]
    Text,
    /// It is the text format of WebAssembly.
    #[error("this is WebAssembly's text format; turn it into a binary first, with `wasm-tools parse`")]
    TextFormat,
    /// It is a program or library of an operating system.
    #[error("this is a native program or library (ELF), not WebAssembly; build the policy with `usher policy build`")]
    Elf,
    /// It was compiled by wasmtime already.
    #[error("this was compiled beforehand (.cwasm); Usher runs only what it compiled itself: give it the .wasm")]
    Precompiled,
    /// It is something else.
    #[error("this is not WebAssembly: it begins with {begins}, a policy with 00 61 73 6d")]
    NotWasm {
        /// The first bytes, in hex.
        begins: String,
    },
    /// The binary is broken, or uses something that is not allowed.
    #[error("the module is not valid: {0}")]
    Invalid(String),
    /// It has a function that could not be stopped in time.
    #[error(
        "one of its functions has {0} bytes; at most {FUNCTION_BYTES_MAX} are allowed, so that a call can be stopped in time: \
         look for a generated table or parser, and build with `opt-level = 3` and `lto = true`"
    )]
    HugeFunction(usize),
    /// It takes memory that no limit of a memory counts.
    #[error(
        "it has {0} globals, imports, exports, segments and elements of them; at most {DECLARATIONS_MAX} are allowed, for they \
         take memory beside the policy's own: look for code that a tool has generated, and build with `opt-level = 3` and \
         `lto = true`"
    )]
    TooManyDeclarations(u64),
    /// What is said from one component to another is copied and converted outside of fuel and time.
    #[error(
        "it is composed of several components; a policy is one: put its parts together in their language, before it becomes a \
         component"
    )]
    Composed,
    /// A core module that nothing says about what its exports mean.
    #[error(
        "a core module without its `component-type` section: it was not built with `export_policy!` of usher-sdk, or a tool \
         has stripped its custom sections (`wasm-opt --strip-producers` does not, `wasm-strip` does){hint}"
    )]
    NoTypeSection {
        /// What else is known.
        hint: String,
    },
    /// It could not be turned into a component.
    #[error("the module does not fit the contract that it was built for: {0}")]
    Encode(String),
    /// It wants what a policy does not get.
    #[error("it imports `{import}`, but a policy has no clock, files, network or randomness{hint}")]
    Wasi {
        /// The import.
        import: String,
        /// How to build without, in its language.
        hint: String,
    },
    /// It wants what nobody offers.
    #[error(
        "it imports `{import}`, which Usher does not offer; a policy gets `usher:policy/host` and `usher:policy/local-time`"
    )]
    Foreign {
        /// The import.
        import: String,
    },
    /// It was built for another contract.
    #[error(
        "it was built for version {found} of the contract, this Usher speaks {CONTRACT}: rebuild it with the usher-sdk that belongs to it"
    )]
    Contract {
        /// The version in its names.
        found: String,
    },
    /// It is no policy at all.
    #[error("it does not export `usher:policy/policy-info`: build it with `export_policy!` of usher-sdk")]
    NoInfo,
    /// It decides nothing.
    #[error("it takes no decision: export at least one of `place`, `scale_up`, `scale_down`")]
    NoDecision,
}

impl Module {
    /// Takes a file's bytes.
    pub(crate) fn new(bytes: Vec<u8>) -> Module {
        Module {
            hash: Hash::of(&bytes),
            bytes,
        }
    }

    /// Returns the hash of the bytes.
    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    /// Returns the bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks everything that can be known without compiling it, and turns a core module into a component.
    ///
    /// # Errors
    /// What the file is instead, or what it must not import, in words for its author.
    pub(crate) fn check(self) -> Result<Checked, CheckError> {
        identify(&self.bytes)?;
        let outline = Outline::read(&self.bytes)?;
        let component = if outline.is_component {
            self.bytes
        } else {
            encode(&self.bytes, &outline)?
        };
        let outline = Outline::read(&component)?;
        let parts = outline.parts()?;
        Ok(Checked { component, parts })
    }
}

/// Says what a file is by its first bytes; whole or not is known from the sections' lengths.
fn identify(bytes: &[u8]) -> Result<(), CheckError> {
    const MAGIC: &[u8] = b"\0asm";
    if bytes.len() < 8 && MAGIC.starts_with(&bytes[..bytes.len().min(4)]) {
        return Err(CheckError::Incomplete);
    }
    if bytes.starts_with(MAGIC) {
        return if is_whole(&bytes[8..]) {
            Ok(())
        } else {
            Err(CheckError::Incomplete)
        };
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(CheckError::Precompiled);
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(CheckError::Elf);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.trim_start().starts_with("(module") || text.trim_start().starts_with("(component") => {
            Err(CheckError::TextFormat)
        }
        Ok(text) if !text.contains('\0') => Err(CheckError::Text),
        Ok(_) | Err(_) => {
            let begins: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            Err(CheckError::NotWasm {
                begins: begins.join(" "),
            })
        }
    }
}

/// Walks over the sections: an id and a length each, in modules and components alike.
fn is_whole(mut sections: &[u8]) -> bool {
    while let [_, rest @ ..] = sections {
        let mut length: u64 = 0;
        let mut used = 0;
        loop {
            let Some(byte) = rest.get(used) else { return false };
            length |= u64::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if used == 5 {
                // Not a length at all; the parser will say so better.
                return true;
            }
        }
        let Some(after) = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(used.checked_add(length)?..))
        else {
            return false;
        };
        sections = after;
    }
    true
}

fn encode(module: &[u8], outline: &Outline) -> Result<Vec<u8>, CheckError> {
    if !outline.has_type_section {
        let hint = outline.wasi_import().map(|_| outline.language.without_wasi());
        return Err(CheckError::NoTypeSection {
            hint: hint.unwrap_or_default().to_owned(),
        });
    }
    outline.refuse_wasi()?;
    let encoded = wit_component::ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode());
    encoded.map_err(|error| CheckError::Encode(shortened(printable(format!("{error:#}")), CAUSES_BYTES_MAX)))
}

impl Outline {
    fn refuse_wasi(&self) -> Result<(), CheckError> {
        match self.wasi_import() {
            Some(import) => Err(CheckError::Wasi {
                import: shown(import),
                hint: self.language.without_wasi().to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Says which parts a component exports, if it imports only what there is and speaks our contract.
    fn parts(&self) -> Result<Parts, CheckError> {
        self.refuse_wasi()?;
        for import in &self.imports {
            match ours(import)? {
                Some(name) if IMPORTS.contains(&name) => {}
                Some(_) | None => return Err(CheckError::Foreign { import: shown(import) }),
            }
        }
        let mut has_info = false;
        let mut parts = Parts::default();
        for export in &self.exports {
            match ours(export)? {
                Some("policy-info") => has_info = true,
                Some("view") => parts.view = true,
                Some("place") => parts.place = true,
                Some("scale-up") => parts.scale_up = true,
                Some("scale-down") => parts.scale_down = true,
                Some("learned") => parts.learned = true,
                // Whatever else it exports is its own affair.
                Some(_) | None => {}
            }
        }
        if !has_info {
            return Err(CheckError::NoInfo);
        }
        if !(parts.place || parts.scales()) {
            return Err(CheckError::NoDecision);
        }
        Ok(parts)
    }
}

/// Returns the interface's name if it is one of the contract's.
fn ours(name: &str) -> Result<Option<&str>, CheckError> {
    let Some(name) = name.strip_prefix(PACKAGE) else {
        return Ok(None);
    };
    match name.split_once('@') {
        Some((name, CONTRACT)) => Ok(Some(name)),
        Some((_, found)) => Err(CheckError::Contract { found: shown(found) }),
        None => Err(CheckError::Contract {
            found: "without a number".to_owned(),
        }),
    }
}

/// Cuts what comes from the file itself to what can be read in a sentence.
fn shown(text: &str) -> String {
    shortened(printable(text.to_owned()), NAME_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::guests::Guest;

    #[test]
    fn what_wasmtime_has_compiled_is_not_taken() {
        let component = wat::parse_str("(component)").unwrap();
        let compiled = wasmtime::Engine::default().precompile_component(&component).unwrap();
        assert_eq!(Module::new(compiled).check().unwrap_err(), CheckError::Precompiled);
    }

    #[test]
    fn every_cut_of_a_module_that_is_not_between_sections_is_incomplete() {
        let whole = Guest::places("(call $defer)").build();
        let mut at_a_boundary = 0;
        for length in 0..whole.len() {
            match Module::new(whole[..length].to_vec()).check() {
                Err(CheckError::Incomplete) => {}
                Err(_) => at_a_boundary += 1,
                Ok(_) => panic!("a policy of {length} bytes"),
            }
        }
        assert!(at_a_boundary < 20, "{at_a_boundary}");
    }

    #[test]
    fn the_parts_are_found() {
        let guest = Guest {
            scale_down: Some("(call $keep_all (i32.const 1))".into()),
            ..Guest::traces()
        };
        let parts = Module::new(guest.build()).check().unwrap().parts;
        assert_eq!(
            parts,
            Parts {
                view: true,
                place: true,
                scale_up: false,
                scale_down: true,
                learned: false,
            }
        );
    }
}
