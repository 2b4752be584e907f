//! What a module or component says of itself: read section by section, and judged in [`super`].

use wasmparser::{Encoding, KnownCustom, Parser, Payload};

use super::{CheckError, shown};
use crate::wasm::language::Language;
use crate::wasm::limits::FUNCTION_BYTES_MAX;

/// What a module or component says of itself.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) is_component: bool,
    pub(super) has_type_section: bool,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) language: Language,
}

impl Outline {
    /// Reads all sections, also those of modules and components inside.
    ///
    /// # Errors
    /// They cannot be read, or what they hold has no bound.
    pub(super) fn read(bytes: &[u8]) -> Result<Outline, CheckError> {
        let mut outline = Outline::default();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let invalid = |error: wasmparser::BinaryReaderError| CheckError::Invalid(shown(&error.to_string()));
            match payload.map_err(invalid)? {
                Payload::Version { encoding, .. } => {
                    depth += 1;
                    outline.is_component |= depth == 1 && encoding == Encoding::Component;
                }
                Payload::End(_) => depth -= 1,
                Payload::CodeSectionEntry(body) if body.range().len() > FUNCTION_BYTES_MAX => {
                    return Err(CheckError::HugeFunction(body.range().len()));
                }
                Payload::ImportSection(imports) if depth == 1 => {
                    for import in imports.into_imports() {
                        outline.imports.push(import.map_err(invalid)?.module.to_owned());
                    }
                }
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        outline.imports.push(import.map_err(invalid)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        outline.exports.push(export.map_err(invalid)?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) => {
                    outline.has_type_section |= section.name().starts_with("component-type");
                    if let KnownCustom::Producers(producers) = section.as_known() {
                        outline.language.learn(producers);
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    /// Returns an import that only an operating system could satisfy.
    pub(super) fn wasi_import(&self) -> Option<&String> {
        self.imports.iter().find(|import| import.starts_with("wasi"))
    }
}

/// Returns what a module or component imports, each once; nothing where it cannot be read.
pub(crate) fn imports(bytes: &[u8]) -> Vec<String> {
    let mut imports = Outline::read(bytes).map_or_else(|_| Vec::new(), |outline| outline.imports);
    imports.sort();
    imports.dedup();
    imports
}
