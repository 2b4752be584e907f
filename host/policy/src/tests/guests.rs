//! Policies written in WebAssembly's text format, with the contract's type section embedded: what a toolchain would make.

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Takes the next free bytes.
pub(crate) const REALLOC: &str = "(local.set $at (i32.and (i32.add (global.get $bump) (i32.const 7)) (i32.const -8)))
    (global.set $bump (i32.add (local.get $at) (local.get 3)))
    (local.get $at)";

const WIT: &str = include_str!("../../../../sdk/wit/policy.wit");

/// A guest to be built. Bodies are instructions that leave the address of a result; see [`Guest::build`] for what they may call.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    pub(crate) version: &'static str,
    pub(crate) contract: &'static str,
    pub(crate) has_info: bool,
    pub(crate) describe: String,
    pub(crate) configure: String,
    pub(crate) view: Option<[String; 3]>,
    pub(crate) place: Option<String>,
    pub(crate) scale_up: Option<String>,
    pub(crate) scale_down: Option<String>,
    /// `save` and `restore`.
    pub(crate) learned: Option<[String; 2]>,
    /// The body of `cabi_realloc`, by which the host gets memory for what it says.
    pub(crate) realloc: String,
    pub(crate) imports: String,
    pub(crate) more: String,
}

impl Guest {
    /// A guest that takes no decision.
    pub(crate) fn new() -> Guest {
        Guest {
            version: "1.0.0",
            contract: "0.1.0",
            has_info: true,
            describe: "(call $description)".into(),
            configure: "(call $ok)".into(),
            view: None,
            place: None,
            scale_up: None,
            scale_down: None,
            learned: None,
            realloc: REALLOC.into(),
            imports: String::new(),
            more: String::new(),
        }
    }

    /// A guest whose `place` does this.
    pub(crate) fn places(body: &str) -> Guest {
        Guest {
            place: Some(body.into()),
            ..Guest::new()
        }
    }

    /// A guest that answers with a server whose number is the trace of what it was told: a digit for each call of the view, 1 for
    /// `update`, 2 for `usages`, 3 for `figures`, and a 4 for usages with a question. In the trial, whose room has 11 letters, it defers.
    pub(crate) fn traces() -> Guest {
        let trace = |digit: u32| {
            format!("(global.set $trace (i32.add (i32.mul (global.get $trace) (i32.const 10)) (i32.const {digit})))")
        };
        let place = format!(
            "(if (local.get 2) (then {}))
             (if (i32.eq (local.get 4) (i32.const 11)) (then (return (call $defer))))
             (call $on (global.get $trace))",
            trace(4)
        );
        Guest {
            view: Some([1, 2, 3].map(|digit| format!("{} (call $ok)", trace(digit)))),
            more: "(global $trace (mut i32) (i32.const 0))".into(),
            ..Guest::places(&place)
        }
    }

    /// The version that it says it has, of five characters.
    pub(crate) fn version(self, version: &'static str) -> Guest {
        assert_eq!(version.len(), 5);
        Guest { version, ..self }
    }

    /// The module, with its type section.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).unwrap();
        let mut resolve = Resolve::default();
        let wit = WIT.replace("usher:policy@0.1.0", &format!("usher:policy@{}", self.contract));
        resolve.push_str("policy.wit", &wit).unwrap();
        let parts = [
            (self.has_info, "policy-info"),
            (self.view.is_some(), "view"),
            (self.place.is_some(), "place"),
            (self.scale_up.is_some(), "scale-up"),
            (self.scale_down.is_some(), "scale-down"),
            (self.learned.is_some(), "learned"),
        ];
        let name = |part: &str| format!("usher:policy/{part}@{}", self.contract);
        let exports: String = parts
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, part)| format!("export {};\n", name(part)))
            .collect();
        let world = format!(
            "package test:guest; world guest {{ import {}; import {};\n{exports} }}",
            name("host"),
            name("local-time")
        );
        let package = resolve.push_str("guest.wit", &world).unwrap();
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        module
    }

    /// The module's text. Bodies may call `$ok`, `$description`, `$on` (a server), `$wait`, `$reject`, `$defer`, `$error` (which
    /// says "oh no"), `$growth` (pool, servers), `$rows` (how many growths), `$retire` (pool, server), `$keep_all` (pool). Of the
    /// arguments of `place`, 2 is how many numbers of usages come with it, 4 the length of the room's name.
    fn text(&self) -> String {
        let version = self.contract;
        let func = |part: &str, function: &str, params: usize, body: &str| {
            let params = "i32 ".repeat(params);
            // What the host has allocated for the arguments is free again when the function ends.
            format!(
                "(func (export \"usher:policy/{part}@{version}#{function}\") (param {params}) (result i32)
                 {body} (global.set $bump (i32.const 65536)))\n"
            )
        };
        let mut functions = String::new();
        if self.has_info {
            functions += &func("policy-info", "describe", 0, &self.describe);
            functions += &func("policy-info", "configure", 3, &self.configure);
        }
        for (function, body) in ["update", "usages", "figures"].iter().zip(self.view.iter().flatten()) {
            functions += &func("view", function, 3, body);
        }
        functions += &self
            .place
            .as_ref()
            .map_or_else(String::new, |body| func("place", "place", 16, body));
        functions += &self
            .scale_up
            .as_ref()
            .map_or_else(String::new, |body| func("scale-up", "scale-up", 8, body));
        functions += &self
            .scale_down
            .as_ref()
            .map_or_else(String::new, |body| func("scale-down", "scale-down", 2, body));
        for ((function, params), body) in [("save", 0), ("restore", 2)].iter().zip(self.learned.iter().flatten()) {
            functions += &func("learned", function, *params, body);
        }
        let (imports, more, version) = (&self.imports, &self.more, self.version);
        let realloc = &self.realloc;
        format!(
            r#"(module {imports}
              (memory (export "memory") 64)
              (global $bump (mut i32) (i32.const 65536))
              {more}
              (data (i32.const 16) "guest{version}oh noEurope/Berlinconsumers")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                {realloc})
              (func $store (param $at i32) (param $value i32) (i32.store (local.get $at) (local.get $value)))
              (func $ok (result i32) (call $store (i32.const 1024) (i32.const 0)) (i32.const 1024))
              (func $error (result i32)
                (call $store (i32.const 1024) (i32.const 1))
                (call $store (i32.const 1028) (i32.const 26))
                (call $store (i32.const 1032) (i32.const 5)) (i32.const 1024))
              (func $description (result i32)
                (call $store (i32.const 1028) (i32.const 16)) (call $store (i32.const 1032) (i32.const 5))
                (call $store (i32.const 1036) (i32.const 21)) (call $store (i32.const 1040) (i32.const 5))
                (call $store (i32.const 1044) (i32.const 16)) (call $store (i32.const 1048) (i32.const 5))
                ;; one figure: consumers
                (call $store (i32.const 2048) (i32.const 44)) (call $store (i32.const 2052) (i32.const 9))
                (call $store (i32.const 1052) (i32.const 2048)) (call $store (i32.const 1056) (i32.const 1))
                (call $ok))
              (func $placement (param $case i32) (param $payload i32) (result i32)
                (call $store (i32.const 1028) (local.get $case))
                (call $store (i32.const 1032) (local.get $payload))
                (call $store (i32.const 1040) (i32.const 0))
                (call $store (i32.const 1044) (i32.const 0))
                (call $ok))
              (func $on (param i32) (result i32) (call $placement (i32.const 0) (local.get 0)))
              (func $wait (result i32) (call $placement (i32.const 1) (i32.const 0)))
              (func $reject (result i32) (call $placement (i32.const 2) (i32.const 0)))
              (func $defer (result i32) (call $placement (i32.const 3) (i32.const 0)))
              (func $rows (param $count i32) (result i32)
                (call $store (i32.const 1028) (i32.const 4096)) (call $store (i32.const 1032) (local.get $count)) (call $ok))
              (func $growth (param $pool i32) (param $servers i32) (result i32)
                (call $store (i32.const 4096) (local.get $pool)) (call $store (i32.const 4100) (local.get $servers))
                (call $store (i32.const 4104) (i32.const 16)) (call $store (i32.const 4108) (i32.const 5))
                (call $rows (i32.const 1)))
              (func $keep_all (param $pool i32) (result i32)
                (call $store (i32.const 4096) (local.get $pool))
                (call $store (i32.const 4100) (i32.const 4)) (call $store (i32.const 4104) (i32.const 0))
                (call $rows (i32.const 1)))
              (func $retire (param $pool i32) (param $server i32) (result i32)
                (call $store (i32.const 4096) (local.get $pool))
                (call $store (i32.const 4100) (i32.const 5120)) (call $store (i32.const 4104) (i32.const 1))
                (call $store (i32.const 5120) (local.get $server))
                (call $store (i32.const 5124) (i32.const 16)) (call $store (i32.const 5128) (i32.const 5))
                (call $rows (i32.const 1)))
              {functions})"#
        )
    }
}
