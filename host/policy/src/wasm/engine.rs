//! The one wasmtime engine, configured so that the same guest and the same inputs give the same advice everywhere.

use wasmtime::{Config, Engine};

use super::limits::{STACK_BYTES_MAX, operator_cost};

/// Makes the engine.
///
/// Fuel, because it is deterministic; the epoch beside it only ends what takes far longer than its fuel says
/// ([`super::overtime`]), and costs 2 % of a decision. No asynchronous components, which cost 0.5 µs a call; NaNs canonical and
/// no relaxed SIMD, so that a replay is exact. Threads and garbage collection are not even compiled in.
///
/// # Errors
/// The platform has no compiler back end.
pub(super) fn new() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.consume_fuel(true);
    config.operator_cost(operator_cost());
    config.epoch_interruption(true);
    config.wasm_component_model(true);
    config.concurrency_support(false);
    config.wasm_relaxed_simd(false);
    config.wasm_memory64(false);
    config.cranelift_nan_canonicalization(true);
    config.max_wasm_stack(STACK_BYTES_MAX);
    Engine::new(&config)
}
