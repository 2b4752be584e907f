//! The contract's types and calls, generated from `policy.wit`: one small world for each optional part.
//!
//! wasmtime has no optional exports, so each part is a world of its own and all share the types of the first.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated code"
)]

pub(crate) mod base {
    wasmtime::component::bindgen!({ path: "../../sdk/wit", world: "base" });
}

pub(crate) mod view {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit", world: "view-part",
        with: { "usher:policy/types": super::base::usher::policy::types },
    });
}

pub(crate) mod place {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit", world: "place-part",
        with: { "usher:policy/types": super::base::usher::policy::types },
    });
}

pub(crate) mod scale_up {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit", world: "scale-up-part",
        with: { "usher:policy/types": super::base::usher::policy::types },
    });
}

pub(crate) mod scale_down {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit", world: "scale-down-part",
        with: { "usher:policy/types": super::base::usher::policy::types },
    });
}

pub(crate) mod learned {
    wasmtime::component::bindgen!({ path: "../../sdk/wit", world: "learned-part" });
}

pub(crate) use base::exports::usher::policy::policy_info::Description;
pub(crate) use base::usher::policy::local_time::Local;
pub(crate) use base::usher::policy::types;
