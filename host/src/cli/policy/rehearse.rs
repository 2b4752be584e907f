//! Asks a policy on a made-up fleet, and looks at what it answers and what that costs.
//!
//! The gates are the host's own, in its order; the trial is also about a fleet in which every server is full, where it matters most. What
//! comes after them refuses nothing. It shows what an author would else learn in production: dear questions, answers that differ,
//! servers that the fleet would refuse.

mod bill;
mod place;
mod scale;
mod stage;

use std::path::Path;

use usher_fleet::decision::DecisionPoint;
use usher_policy::{CompileIn, LoadError, MEMORY_BYTES_MAX, Rehearsal, Rehearsed, WASM_BYTES_MAX};

use super::report::{Report, size};
use stage::Stage;

/// How many servers the made-up fleet has, unless somebody says.
pub(super) const SERVERS_DEFAULT: usize = 1_000;
/// After so many faults of one kind of question no more is asked: the host would have put the policy into quarantine.
const FAULTS_MAX: usize = 3;

/// What is found on the way, and what is probably not meant.
#[derive(Debug, Default)]
struct Findings {
    warnings: Vec<String>,
    memory_bytes: usize,
}

/// Passes a file through every gate, and rehearses it.
///
/// # Errors
/// The first gate that it did not pass.
pub(super) fn rehearse(
    wasm: &Path,
    settings: Option<&Path>,
    servers: usize,
    compile: CompileIn,
) -> Result<Report, LoadError> {
    let rehearsed = Rehearsed::read(wasm, settings, compile)?;
    let mut stage = Stage::new(servers);
    let instance = rehearsed.try_out(&stage.view())?;
    let described = instance.description();
    let mut found = Findings::default();
    let (mut rooms, mut growth, mut shrinkage) = (None, None, None);
    let mut prices = Vec::new();
    for point in rehearsed.decisions() {
        let bill = match point {
            DecisionPoint::Place => {
                let (became, bill) = place::rehearse(&rehearsed, &mut stage, &mut found)?;
                rooms = Some(became);
                bill
            }
            DecisionPoint::ScaleUp => {
                let (ordered, bill) = scale::rehearse_growth(&rehearsed, &mut stage, &mut found)?;
                growth = Some(ordered);
                bill
            }
            DecisionPoint::ScaleDown => {
                let (let_go, bill) = scale::rehearse_shrinkage(&rehearsed, &mut stage, &mut found)?;
                shrinkage = Some(let_go);
                bill
            }
        };
        found.warnings.extend(bill.warning(point, servers));
        prices.extend(bill.price(point, servers));
    }
    found.look_at_file(wasm, &rehearsed);
    Ok(Report {
        file: wasm.display().to_string(),
        name: described.name,
        version: described.version,
        summary: described.summary,
        sha256: rehearsed.sha256(),
        decisions: rehearsed.decisions().into_iter().map(DecisionPoint::word).collect(),
        imports: rehearsed.imports().to_vec(),
        figures: described.figures,
        settings: settings.map(|file| file.display().to_string()),
        wasm_bytes: rehearsed.wasm_bytes(),
        wasm_bytes_max: WASM_BYTES_MAX,
        memory_bytes: found.memory_bytes,
        memory_bytes_max: MEMORY_BYTES_MAX,
        servers,
        prices,
        rooms,
        growth,
        shrinkage,
        warnings: found.warnings,
    })
}

/// Starts an instance that knows the fleet as it is now.
fn told(rehearsed: &Rehearsed, stage: &Stage) -> Result<Rehearsal, LoadError> {
    let mut instance = rehearsed.start()?;
    instance
        .feed(&stage.view())
        .map_err(|fault| LoadError::View(fault.message))?;
    Ok(instance)
}

impl Findings {
    fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    fn see_memory(&mut self, instance: &Rehearsal) {
        self.memory_bytes = self.memory_bytes.max(instance.memory_bytes());
    }

    fn look_at_file(&mut self, wasm: &Path, rehearsed: &Rehearsed) {
        let bytes = rehearsed.wasm_bytes() as u64;
        if bytes > WASM_BYTES_MAX / 2 {
            self.warn(format!(
                "the module has {}, more than half of the {} that are allowed",
                size(bytes),
                size(WASM_BYTES_MAX)
            ));
        }
        if self.memory_bytes > MEMORY_BYTES_MAX / 2 {
            self.warn(format!(
                "it takes {} of memory, more than half of the {} that are allowed",
                size(self.memory_bytes as u64),
                size(MEMORY_BYTES_MAX as u64)
            ));
        }
        let file = wasm.file_name().unwrap_or_default().to_string_lossy();
        if !file.ends_with(".wasm") || file.starts_with('.') {
            self.warn(format!(
                "a host does not look at a file that is called {file}: it takes *.wasm, and nothing that begins with a dot"
            ));
        }
    }
}
