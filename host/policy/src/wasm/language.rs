//! In which language a module was written, for hints that its author can use.

/// What a module was written in, as its tools have noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Language {
    #[default]
    Unknown,
    Rust,
    Go,
    C,
    JavaScript,
    Python,
}

impl Language {
    /// Takes in a `producers` section.
    pub(super) fn learn(&mut self, producers: wasmparser::ProducersSectionReader<'_>) {
        for field in producers.into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                let name = value.name.to_ascii_lowercase();
                let found = match name.as_str() {
                    "rust" | "rustc" => Language::Rust,
                    "go" | "tinygo" => Language::Go,
                    "javascript" | "componentizejs" | "componentize-js" | "starlingmonkey" => Language::JavaScript,
                    "python" | "componentize-py" => Language::Python,
                    "clang" | "c11" | "c_plus_plus_14" => Language::C,
                    _ => continue,
                };
                // Scripting languages bring an interpreter along, whose own language is noted too.
                if matches!(*self, Language::Unknown | Language::C)
                    || matches!(found, Language::JavaScript | Language::Python)
                {
                    *self = found;
                }
            }
        }
    }

    /// Says how to build without WASI; to be put behind a sentence.
    pub(super) fn without_wasi(self) -> &'static str {
        match self {
            Language::Rust => ": build for `wasm32-unknown-unknown`, not for `wasm32-wasip1` or `wasm32-wasip2`",
            Language::Go => ": build with TinyGo and `-target=wasm-unknown`",
            Language::C => ": build with `--target=wasm32-unknown-unknown -nostdlib`, without wasi-libc",
            Language::JavaScript => ": build with `jco componentize --disable all`",
            Language::Python => ": build with `componentize-py componentize --stub-wasi`",
            Language::Unknown => ": build it without WASI",
        }
    }
}
