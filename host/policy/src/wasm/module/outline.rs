//! What a module or component says of itself: read section by section, and judged in [`super`].

use wasmparser::{BinaryReaderError, Element, ElementItems, Encoding, KnownCustom, Parser, Payload};

use super::{CheckError, shown};
use crate::wasm::language::Language;
use crate::wasm::limits::{DECLARATIONS_MAX, FUNCTION_BYTES_MAX};

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
        let mut declared = 0;
        let invalid = |error: BinaryReaderError| CheckError::Invalid(shown(&error.to_string()));
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(invalid)?;
            declared += declarations(&payload).map_err(invalid)?;
            match payload {
                Payload::Version { encoding, .. } => {
                    depth += 1;
                    outline.is_component |= depth == 1 && encoding == Encoding::Component;
                }
                Payload::End(_) => depth -= 1,
                Payload::ComponentCanonicalSection(_)
                | Payload::InstanceSection(_)
                | Payload::ComponentInstanceSection(_)
                    if depth > 1 =>
                {
                    return Err(CheckError::Composed);
                }
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
        if declared > DECLARATIONS_MAX {
            return Err(CheckError::TooManyDeclarations(declared));
        }
        Ok(outline)
    }

    /// Returns an import that only an operating system could satisfy.
    pub(super) fn wasi_import(&self) -> Option<&String> {
        self.imports.iter().find(|import| import.starts_with("wasi"))
    }
}

/// Counts what instances have places for beside their memories: each core instance, or, for functions that cross a component's
/// border, the component's own.
fn declarations(payload: &Payload<'_>) -> Result<u64, BinaryReaderError> {
    Ok(match payload {
        Payload::ImportSection(imports) => imports.clone().into_imports().count() as u64,
        Payload::GlobalSection(globals) => globals.count().into(),
        Payload::ExportSection(exports) => exports.count().into(),
        Payload::DataSection(segments) => segments.count().into(),
        Payload::ElementSection(segments) => {
            let places = |segment: Element<'_>| {
                1 + match segment.items {
                    ElementItems::Functions(functions) => u64::from(functions.count()),
                    ElementItems::Expressions(_, expressions) => u64::from(expressions.count()),
                }
            };
            let segments = segments.clone().into_iter();
            segments
                .map(|segment| segment.map(places))
                .sum::<Result<u64, BinaryReaderError>>()?
        }
        Payload::ComponentCanonicalSection(functions) => functions.count().into(),
        // Types and code belong to all instances; of tables and memories instances have few.
        _ => 0,
    })
}

/// Returns what a module or component imports, each once; nothing where it cannot be read.
pub(crate) fn imports(bytes: &[u8]) -> Vec<String> {
    let mut imports = Outline::read(bytes).map_or_else(|_| Vec::new(), |outline| outline.imports);
    imports.sort();
    imports.dedup();
    imports
}
