//! What an instance exports beside its description: each part by itself, for wasmtime has no optional exports.

use wasmtime::Store;
use wasmtime::component::Instance;

use crate::wasm::bindings::{learned, place, scale_down, scale_up, view};
use crate::wasm::imports::HostState;
use crate::wasm::module::Parts;

/// The parts that there are.
pub(super) struct Exports {
    pub(super) view: Option<view::ViewPart>,
    pub(super) place: Option<place::PlacePart>,
    pub(super) scale_up: Option<scale_up::ScaleUpPart>,
    pub(super) scale_down: Option<scale_down::ScaleDownPart>,
    pub(super) learned: Option<learned::LearnedPart>,
}

impl Exports {
    /// Takes the parts that a module has.
    ///
    /// # Errors
    /// One of them has other types than the contract's.
    pub(super) fn of(parts: Parts, store: &mut Store<HostState>, instance: &Instance) -> wasmtime::Result<Exports> {
        let view = parts.view.then(|| view::ViewPart::new(&mut *store, instance));
        let place = parts.place.then(|| place::PlacePart::new(&mut *store, instance));
        let scale_up = parts
            .scale_up
            .then(|| scale_up::ScaleUpPart::new(&mut *store, instance));
        let scale_down = parts
            .scale_down
            .then(|| scale_down::ScaleDownPart::new(&mut *store, instance));
        let learned = parts.learned.then(|| learned::LearnedPart::new(&mut *store, instance));
        Ok(Exports {
            view: view.transpose()?,
            place: place.transpose()?,
            scale_up: scale_up.transpose()?,
            scale_down: scale_down.transpose()?,
            learned: learned.transpose()?,
        })
    }
}
