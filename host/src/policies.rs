//! What the policies' threads need of the host: the view between two inputs, somewhere to leave what they have to say, and a
//! program that compiles.

use std::path::{Path, PathBuf};

use usher_fleet::advice::ScaleAnswer;
use usher_fleet::event::PolicyEvent;
use usher_fleet::{Fleet, Observation, Timestamp};
use usher_policy::{ChildProgram, CompileIn, Look, PlaceChain, PolicyHost};

use crate::cli::COMPILE_POLICY;
use crate::driver::{Chain, Mailbox};

/// The program that this process runs, wherever its file is by now: Linux keeps it as long as it runs.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Passes on between the policies' threads and the driver.
#[derive(Debug)]
pub struct BetweenInputs(pub Mailbox);

impl PolicyHost for BetweenInputs {
    fn look(&self, look: Look) {
        self.0.run(look);
    }

    fn event(&self, event: PolicyEvent) {
        self.0.observe(Observation::Policy(event));
    }

    fn scaled(&self, answer: ScaleAnswer) {
        self.0.observe(Observation::Scaled(answer));
    }

    fn chain_changed(&self) {
        self.0.chain_changed();
    }
}

/// Returns how modules are compiled: by this very program, also where another one has been put in its place meanwhile.
///
/// # Errors
/// Nobody knows where the program is.
pub fn compile_in_child() -> std::io::Result<CompileIn> {
    let own = Path::new(OWN_PROGRAM);
    let program = if own.exists() {
        PathBuf::from(own)
    } else {
        std::env::current_exe()?
    };
    Ok(CompileIn::Child(ChildProgram {
        program,
        arguments: vec![COMPILE_POLICY.into()],
    }))
}

impl Chain for PlaceChain {
    fn swap(&mut self) -> bool {
        PlaceChain::swap(self)
    }

    fn keep_up(&mut self, fleet: &Fleet, now: Timestamp) {
        PlaceChain::keep_up(self, fleet, now);
    }
}
