//! The glue between an author's policy and the contract: `export_policy!` and the functions that it forwards to.

/// What the exported functions do; the macro only forwards to it, so that an author's crate compiles little.
pub mod glue {
    #[cfg(target_family = "wasm")]
    pub use wasm::{Cell, ask, ask_mut, configure, describe};

    #[cfg(target_family = "wasm")]
    mod wasm {
        use core::cell::RefCell;

        use crate::policy::Packaged;
        use crate::{Description, Instance, Level, Policy, log};

        /// Where a module keeps its one instance; empty before `configure`.
        pub type Cell<P> = RefCell<Option<Instance<P>>>;

        /// Describes the policy. It is the first call of all, so panics learn to speak here.
        pub fn describe<P: Packaged>() -> Description {
            log::say_panics();
            Instance::<P>::describe()
        }

        /// Makes the instance.
        ///
        /// # Errors
        /// What is wrong with the settings.
        pub fn configure<P: Policy>(cell: &Cell<P>, settings: &str, log: Level) -> Result<(), String> {
            cell.replace(Some(Instance::configure(settings, log)?));
            Ok(())
        }

        /// Asks the instance something that changes nothing.
        ///
        /// # Errors
        /// It was not configured.
        pub fn ask<P, T>(cell: &Cell<P>, question: impl FnOnce(&Instance<P>) -> T) -> Result<T, String> {
            cell.borrow()
                .as_ref()
                .map(question)
                .ok_or_else(|| NOT_CONFIGURED.into())
        }

        /// Asks or tells the instance something that may change it.
        ///
        /// # Errors
        /// It was not configured.
        pub fn ask_mut<P, T>(cell: &Cell<P>, question: impl FnOnce(&mut Instance<P>) -> T) -> Result<T, String> {
            cell.borrow_mut()
                .as_mut()
                .map(question)
                .ok_or_else(|| NOT_CONFIGURED.into())
        }

        const NOT_CONFIGURED: &str = "`configure` was not called";
    }
}

/// Exports a policy with the decisions that it takes: `place`, `scale_up`, `scale_down`, in any order; and `learned` where it
/// keeps what it learns ([`Learned`](crate::Learned)).
///
/// Only these appear in the module. Natively nothing is exported; the macro then checks that the traits are there.
///
/// ```
/// use usher_sdk::{Fleet, Moment, Policy, ScaleDown, Shrinkage, export_policy};
///
/// /// Keeps every server for ever.
/// struct Keep;
///
/// impl Policy for Keep {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(Keep)
///     }
/// }
///
/// impl ScaleDown for Keep {
///     fn scale_down(&mut self, fleet: &Fleet, _: Moment) -> Vec<Shrinkage> {
///         fleet.pools().map(|pool| Shrinkage::keep_all(pool.id)).collect()
///     }
/// }
///
/// export_policy!(Keep: scale_down);
/// # fn main() {}
/// ```
///
/// A decision whose trait is missing does not compile:
///
/// ```compile_fail
/// # use usher_sdk::{Policy, export_policy};
/// # struct Keep;
/// # impl Policy for Keep { type Settings = (); fn new(_: ()) -> Result<Self, String> { Ok(Keep) } }
/// export_policy!(Keep: place);
/// # fn main() {}
/// ```
///
/// Nor does one that is named twice:
///
/// ```compile_fail
/// # use usher_sdk::{Fleet, Moment, Policy, ScaleDown, Shrinkage, export_policy};
/// # struct Keep;
/// # impl Policy for Keep { type Settings = (); fn new(_: ()) -> Result<Self, String> { Ok(Keep) } }
/// # impl ScaleDown for Keep { fn scale_down(&mut self, _: &Fleet, _: Moment) -> Vec<Shrinkage> { vec![] } }
/// export_policy!(Keep: scale_down, scale_down);
/// # fn main() {}
/// ```
///
/// Nor does a policy that decides nothing:
///
/// ```compile_fail
/// # use usher_sdk::{Learned, Policy, export_policy};
/// # struct Keep;
/// # impl Policy for Keep { type Settings = (); fn new(_: ()) -> Result<Self, String> { Ok(Keep) } }
/// # impl Learned for Keep {
/// #     fn save(&self) -> Vec<u8> { vec![] }
/// #     fn restore(&mut self, _: &[u8]) -> Result<(), String> { Ok(()) }
/// # }
/// export_policy!(Keep: learned);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_policy {
    ($policy:ty: $($part:ident),+ $(,)?) => {
        impl $crate::Packaged for $policy {
            const PACKAGE: $crate::Package = $crate::Package {
                name: ::core::env!("CARGO_PKG_NAME"),
                version: ::core::env!("CARGO_PKG_VERSION"),
                summary: ::core::env!("CARGO_PKG_DESCRIPTION"),
            };
        }
        $( const _: () = $crate::export_policy!(@check $part, $policy); )+
        $crate::export_policy!(@decides $($part)+);
        const _: () = {
            #[allow(dead_code, non_camel_case_types)]
            enum EachOnce { $($part),+ }
        };
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::bindings::base;
            use $crate::glue;
            type Answer<T> = ::core::result::Result<T, ::std::string::String>;
            type Many<T> = ::std::vec::Vec<T>;
            type Text = ::std::string::String;

            ::std::thread_local! {
                static INSTANCE: glue::Cell<$policy> = const { ::core::cell::RefCell::new(::core::option::Option::None) };
            }

            struct Glue;

            impl base::exports::usher::policy::policy_info::Guest for Glue {
                fn describe() -> Answer<$crate::Description> {
                    ::core::result::Result::Ok(glue::describe::<$policy>())
                }
                fn configure(settings: Text, log: $crate::Level) -> Answer<()> {
                    INSTANCE.with(|cell| glue::configure(cell, &settings, log))
                }
            }

            impl base::exports::usher::policy::view::Guest for Glue {
                fn update(now: $crate::Timestamp, changes: Many<$crate::Change>) -> Answer<()> {
                    INSTANCE.with(|cell| glue::ask_mut(cell, |instance| instance.update(now, changes)))
                }
                fn usages(_now: $crate::Timestamp, usages: Many<u32>) -> Answer<()> {
                    INSTANCE.with(|cell| glue::ask_mut(cell, |instance| instance.usage_rows(&usages))?)
                }
                fn figures(_now: $crate::Timestamp, figures: Many<$crate::Figure>) -> Answer<()> {
                    INSTANCE.with(|cell| glue::ask_mut(cell, |instance| instance.figures(&figures))?)
                }
            }

            base::export_base!(Glue with_types_in $crate::bindings::base);
            $( $crate::export_policy!(@export $part); )+
        };
    };

    (@check place, $policy:ty) => {{ const fn is_there<P: $crate::Place>() {} is_there::<$policy>() }};
    (@check scale_up, $policy:ty) => {{ const fn is_there<P: $crate::ScaleUp>() {} is_there::<$policy>() }};
    (@check scale_down, $policy:ty) => {{ const fn is_there<P: $crate::ScaleDown>() {} is_there::<$policy>() }};
    (@check learned, $policy:ty) => {{ const fn is_there<P: $crate::Learned>() {} is_there::<$policy>() }};
    (@check $part:ident, $policy:ty) => {
        ::core::compile_error!(::core::concat!(
            "`", ::core::stringify!($part), "` is no part of a policy: there are place, scale_up, scale_down and learned"
        ))
    };

    (@decides learned $($rest:ident)*) => { $crate::export_policy!(@decides $($rest)*); };
    (@decides) => {
        ::core::compile_error!("this policy decides nothing: name place, scale_up or scale_down beside learned");
    };
    (@decides $part:ident $($rest:ident)*) => {};

    (@export place) => {
        impl $crate::bindings::place::exports::usher::policy::place::Guest for Glue {
            fn place(
                now: $crate::Timestamp, usages: Many<u32>, room: $crate::RoomRequest,
            ) -> Answer<$crate::PlacementAdvice> {
                let moment = $crate::Moment::of_room(now, &room.room);
                INSTANCE.with(|cell| glue::ask_mut(cell, |instance| {
                    instance.usage_rows(&usages)?;
                    ::core::result::Result::Ok(instance.place(&room, moment))
                })?)
            }
        }
        $crate::bindings::place::export_place!(Glue with_types_in $crate::bindings::place);
    };
    (@export scale_up) => {
        impl $crate::bindings::scale_up::exports::usher::policy::scale_up::Guest for Glue {
            fn scale_up(
                now: $crate::Timestamp, decision: u32, demand: $crate::Demand,
            ) -> Answer<Many<$crate::Growth>> {
                let moment = $crate::Moment::of_decision(now, decision);
                INSTANCE.with(|cell| glue::ask_mut(cell, |instance| instance.scale_up(&demand, moment)))
            }
        }
        $crate::bindings::scale_up::export_scale_up!(Glue with_types_in $crate::bindings::scale_up);
    };
    (@export scale_down) => {
        impl $crate::bindings::scale_down::exports::usher::policy::scale_down::Guest for Glue {
            fn scale_down(now: $crate::Timestamp, decision: u32) -> Answer<Many<$crate::Shrinkage>> {
                let moment = $crate::Moment::of_decision(now, decision);
                INSTANCE.with(|cell| glue::ask_mut(cell, |instance| instance.scale_down(moment)))
            }
        }
        $crate::bindings::scale_down::export_scale_down!(Glue with_types_in $crate::bindings::scale_down);
    };
    (@export learned) => {
        impl $crate::bindings::learned::exports::usher::policy::learned::Guest for Glue {
            fn save() -> Answer<Many<u8>> {
                INSTANCE.with(|cell| glue::ask(cell, |instance| instance.save())?)
            }
            fn restore(saved: Many<u8>) -> Answer<()> {
                INSTANCE.with(|cell| glue::ask_mut(cell, |instance| instance.restore(&saved))?)
            }
        }
        $crate::bindings::learned::export_learned!(Glue with_types_in $crate::bindings::learned);
    };
    (@export $part:ident) => {};
}
