//! What `wit-bindgen` makes of the contract: one small world for each part, so that a module exports only the parts that its
//! author asked for. Private in spirit: what authors use of it, the crate's root re-exports name by name.

#![allow(missing_docs, unsafe_code, unused_qualifications, unreachable_pub, clippy::all)]

/// The types, the log, and what every policy exports.
pub mod base {
    wit_bindgen::generate!({
        path: "wit",
        world: "base",
        generate_unused_types: true,
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_base",
        default_bindings_module: "usher_sdk::bindings::base",
    });
}

/// One world a part; they share the types of [`base`].
macro_rules! part {
    ($part:ident, $world:literal, $export:literal, $module:literal) => {
        #[cfg(target_family = "wasm")]
        pub mod $part {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                with: { "usher:policy/types@0.1.0": crate::bindings::base::usher::policy::types },
                pub_export_macro: true,
                export_macro_name: $export,
                default_bindings_module: $module,
            });
        }
    };
}

part!(view, "view-part", "export_view", "usher_sdk::bindings::view");
part!(place, "place-part", "export_place", "usher_sdk::bindings::place");
part!(
    scale_up,
    "scale-up-part",
    "export_scale_up",
    "usher_sdk::bindings::scale_up"
);
part!(
    scale_down,
    "scale-down-part",
    "export_scale_down",
    "usher_sdk::bindings::scale_down"
);

/// Names no type of [`base`]; `wit-bindgen` refuses a mapping that nothing uses, so it is written out.
#[cfg(target_family = "wasm")]
pub mod learned {
    wit_bindgen::generate!({
        path: "wit",
        world: "learned-part",
        pub_export_macro: true,
        export_macro_name: "export_learned",
        default_bindings_module: "usher_sdk::bindings::learned",
    });
}
