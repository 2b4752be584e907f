//! The machine: how busy its processors are, how full its memory is, what goes out of its interface.

mod egress;
mod interface;

use std::path::PathBuf;

use sysinfo::{MemoryRefreshKind, System};
use tokio::time::Instant;

use egress::Meter;
use interface::Interfaces;

/// How the machine does. What is not known is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Thousandths of all processors, since the reading before.
    pub(crate) cpu_permille: Option<u32>,
    /// Outgoing kilobits a second, since the reading before.
    pub(crate) egress_kbps: Option<u32>,
    /// The same in thousandths of what the interface can do; above 1000 where it does more than was said.
    pub(crate) egress_permille: Option<u32>,
    /// Thousandths of the memory that cannot be had by a new program.
    pub(crate) memory_permille: Option<u32>,
}

/// Reads the kernel's counters.
#[derive(Debug)]
pub(crate) struct Machine {
    /// None where the system cannot be asked.
    system: Option<System>,
    /// Whether the processors' counters have been read before: the first reading alone says nothing.
    has_read: bool,
    interfaces: Interfaces,
    interface_mbps: Option<u32>,
    meter: Meter,
    /// The interface that was read last, to tell when it is another.
    read: Option<String>,
}

impl Machine {
    /// Makes one for this interface, or for the one that is found; its limit is in Mbit/s.
    pub(crate) fn new(interface: Option<String>, interface_mbps: Option<u32>) -> Machine {
        Machine {
            system: System::new()
                .inspect_err(|error| tracing::warn!("processors and memory are not known: {error}"))
                .ok(),
            has_read: false,
            interfaces: Interfaces::new(
                interface,
                PathBuf::from("/proc/net/route"),
                PathBuf::from("/sys/class/net"),
            ),
            interface_mbps,
            meter: Meter::default(),
            read: None,
        }
    }

    /// Reads everything.
    pub(crate) fn read(&mut self, now: Instant) -> Reading {
        let (cpu_permille, memory_permille) = self.busy();
        let egress_kbps = self.egress(now);
        Reading {
            cpu_permille,
            egress_kbps,
            egress_permille: egress_kbps.zip(self.interface_mbps).map(|(kbps, mbps)| kbps / mbps),
            memory_permille,
        }
    }

    /// Reads how busy the processors are, and how full the memory is.
    fn busy(&mut self) -> (Option<u32>, Option<u32>) {
        let Some(system) = &mut self.system else {
            return (None, None);
        };
        system.refresh_cpu_usage();
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let cpu = self.has_read.then(|| permille_of_percent(system.global_cpu_usage()));
        self.has_read = true;
        (
            cpu.flatten(),
            used_permille(system.total_memory(), system.available_memory()),
        )
    }

    fn egress(&mut self, now: Instant) -> Option<u32> {
        let sent = self.interfaces.read();
        let name = sent.as_ref().map(|sent| sent.name.clone());
        if name != self.read {
            match &name {
                Some(name) => tracing::info!("egress is that of the interface {name}"),
                None => tracing::warn!("the interface cannot be read: egress is not known"),
            }
            self.read = name;
        }
        self.meter.read(now, sent.map(|sent| (sent.index, sent.bytes)))
    }
}

fn permille_of_percent(percent: f32) -> Option<u32> {
    percent
        .is_finite()
        .then(|| (percent * 10.0).round().clamp(0.0, 1000.0) as u32)
}

fn used_permille(total: u64, available: u64) -> Option<u32> {
    if total == 0 || available > total {
        return None;
    }
    let used = u128::from(total - available) * 1000 / u128::from(total);
    u32::try_from(used).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_machine_is_read_and_its_first_reading_knows_no_rates() {
        let mut machine = Machine::new(None, Some(1));
        let start = Instant::now();
        let first = machine.read(start);
        assert_eq!(
            (first.cpu_permille, first.egress_kbps, first.egress_permille),
            (None, None, None)
        );
        assert!(first.memory_permille.is_some_and(|used| used <= 1000));
        let second = machine.read(start + Duration::from_secs(5));
        assert!(second.cpu_permille.is_some_and(|busy| busy <= 1000));
    }

    #[test]
    fn nonsense_from_the_kernel_is_not_known() {
        assert_eq!(used_permille(0, 0), None);
        assert_eq!(used_permille(10, 11), None);
        assert_eq!(used_permille(u64::MAX, 0), Some(1000));
        assert_eq!(permille_of_percent(f32::NAN), None);
        assert_eq!(permille_of_percent(104.0), Some(1000));
    }
}
