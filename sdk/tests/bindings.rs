//! Writes `src/bindings/`, or says that it is out of date.
//!
//! The bindings are kept in the tree and not made at each build: a policy's author then compiles a third of the crates, and what is
//! never used does not reach a module. `wit-bindgen` makes them here, one file for each part of the contract. After a change of
//! the contract: `USHER_WRITE_BINDINGS=1 cargo test -p usher-sdk --test bindings`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use wit_bindgen_core::wit_parser::{PackageId, Resolve, TypeDefKind, TypeOwner};
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

const CONTRACT: &str = include_str!("../wit/policy.wit");
/// Where the types of the contract are, for the parts that share them.
const TYPES: (&str, &str) = (
    "usher:policy/types@0.1.0",
    "crate::bindings::base::usher::policy::types",
);
/// What every module exports, in one world: each world describes all types once more in the module.
const BASE: &str = "
    package usher:sdk;
    world base { include usher:policy/base@0.1.0; include usher:policy/view-part@0.1.0; }
";

/// An example for each type, under its name.
const EXAMPLES: &str = include_str!("../src/bindings/examples.md");

/// A file of bindings.
struct Part {
    /// Also the module's name.
    file: &'static str,
    world: &'static str,
    /// Whether the world names the contract's types.
    has_types: bool,
}

const PARTS: [Part; 4] = [
    Part {
        file: "place",
        world: "place-part",
        has_types: true,
    },
    Part {
        file: "scale_up",
        world: "scale-up-part",
        has_types: true,
    },
    Part {
        file: "scale_down",
        world: "scale-down-part",
        has_types: true,
    },
    Part {
        file: "learned",
        world: "learned-part",
        has_types: false,
    },
];

#[test]
fn the_bindings_are_those_of_the_contract() {
    let mut files = vec![("base", base())];
    files.extend(PARTS.iter().map(|part| (part.file, part.bindings())));
    for (name, made) in files {
        let path = folder().join(name).with_extension("rs");
        if env::var_os("USHER_WRITE_BINDINGS").is_some() {
            fs::write(&path, &made).expect("the tree can be written to");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == made,
            "{} is not what the contract says: USHER_WRITE_BINDINGS=1 cargo test -p usher-sdk --test bindings",
            path.display()
        );
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bindings")
}

/// Makes the bindings of what every policy has: the types, the imports, and what is always exported.
fn base() -> String {
    let (mut resolve, _) = contract();
    let package = resolve.push_str("sdk.wit", BASE).expect("it is a world");
    let opts = Opts {
        generate_all: true,
        generate_unused_types: true,
        additional_derive_attributes: vec!["PartialEq".into()],
        additional_type_attributes: examples(&resolve),
        ..opts("base")
    };
    made(resolve, package, "base", opts)
}

/// Returns each type's example as a doc attribute, with what it belongs to.
///
/// # Panics
/// A type has none.
fn examples(resolve: &Resolve) -> Vec<(String, String)> {
    let types = resolve.types.iter().filter_map(|(_, ty)| {
        let TypeOwner::Interface(interface) = ty.owner else {
            return None;
        };
        let has_fields = matches!(
            ty.kind,
            TypeDefKind::Record(_) | TypeDefKind::Variant(_) | TypeDefKind::Enum(_)
        );
        let name = ty.name.as_deref()?;
        has_fields.then_some((format!("{}/{name}", resolve.id_of(interface)?), name))
    });
    let example = |name: &str| {
        let (_, text) = EXAMPLES.split_once(&format!("\n## {name}\n"))?;
        text.split("\n## ").next()
    };
    types
        .map(|(selector, name)| match example(name) {
            Some(text) => (selector, format!("#[doc = {:?}]", format!("\n{}\n", text.trim()))),
            None => panic!("the type `{name}` has no example in src/bindings/examples.md"),
        })
        .collect()
}

impl Part {
    fn bindings(&self) -> String {
        let (resolve, package) = contract();
        let (interface, module) = TYPES;
        let types = (interface.to_owned(), WithOption::Path(module.to_owned()));
        let opts = Opts {
            with: self.has_types.then_some(types).into_iter().collect(),
            ..opts(self.file)
        };
        made(resolve, package, self.world, opts)
    }
}

fn contract() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", CONTRACT).expect("the contract is one");
    (resolve, package)
}

fn opts(file: &str) -> Opts {
    Opts {
        format: true,
        pub_export_macro: true,
        export_macro_name: Some(format!("export_{file}")),
        default_bindings_module: Some(format!("usher_sdk::bindings::{file}")),
        // Else each file would say for itself, used or not, what it imports; all is said where a part is exported.
        disable_custom_section_link_helpers: true,
        // There is no C library here that a call would have to prepare.
        disable_run_ctors_once_workaround: true,
        ..Opts::default()
    }
}

fn made(mut resolve: Resolve, package: PackageId, world: &str, opts: Opts) -> String {
    let world = resolve.select_world(&[package], Some(world)).expect("it is there");
    let mut files = Files::default();
    opts.build()
        .generate(&mut resolve, world, &mut files)
        .expect("the contract can be bound");
    let (_, text) = files.iter().next().expect("it makes one file");
    let text = str::from_utf8(text).expect("it is a text");
    let text = without_post_returns(without_banners(&without_loose_section(text)));
    freeing_the_last_advice(text)
}

/// Cuts out the section that describes the imports of a world whose exports are not used: it would stand in every module.
fn without_loose_section(text: &str) -> String {
    const NAME: &str = "-with-all-of-its-exports-removed:encoded world";
    let at = text.find(NAME).expect("`wit-bindgen` makes one");
    let start = text[..at].rfind("#[rustfmt::skip]").expect("it begins so");
    let len = text[at..].find("\";\n").expect("it ends so");
    let rest = &text[at + len + 3..];
    format!("{}{}", &text[..start], rest.trim_start_matches('\n'))
}

/// The exports on a room's way. After each call of an export the host calls another one that frees what was answered, if the module
/// has one; a call is what a decision costs most.
const WITHOUT_POST_RETURN: [&str; 4] = [
    "view@0.1.0#update",
    "view@0.1.0#usages",
    "view@0.1.0#figures",
    "place@0.1.0#place",
];

/// Cuts out the exports that free an answer. The view answers with a text only where the instance is given up after it.
fn without_post_returns(mut text: String) -> String {
    for export in WITHOUT_POST_RETURN {
        let name = format!("\"cabi_post_usher:policy/{export}\"");
        let Some(at) = text.find(&name) else { continue };
        let start = text[..at].rfind("#[unsafe").expect("it begins so");
        let start = text[..start].trim_end().len();
        let mut depth = 0;
        let end = text[at..].find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == '}' && depth == 0
        });
        text.replace_range(start..=at + end.expect("it ends so"), "");
    }
    text
}

/// Has `place` free the advice that it gave last: its reason, if there was one. Before the first there is nothing, and that has to be
/// said.
fn freeing_the_last_advice(text: String) -> String {
    const BEGINS: &str = ") -> *mut u8 {\n                    unsafe {\n";
    const FREE: &str = "                        __post_return_place::<T_>((&raw mut _RET_AREA.0).cast::<u8>());\n";
    let Some(at) = text.find("fn _export_place_cabi") else {
        return text;
    };
    let at = at + text[at..].find(BEGINS).expect("it begins so") + BEGINS.len();
    let (before, after) = text.split_at(at);
    let (uninit, zeroed) = ("MaybeUninit::uninit(); ", "MaybeUninit::zeroed(); ");
    assert!(after.contains(uninit), "what is answered lies in a static");
    assert!(!after.contains("\"cabi_post_"), "nobody else frees it");
    format!("{before}{FREE}{}", after.replace(uninit, zeroed))
}

/// Cuts out the contract's headings, which stand in the docs of the type after them.
fn without_banners(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("/// ----"));
    lines.flat_map(|line| [line, "\n"]).collect()
}
