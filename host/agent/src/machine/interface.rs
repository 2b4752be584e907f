//! Which interface counts, and what it has sent.

use std::path::{Path, PathBuf};

/// A route that is in use.
const ROUTE_IS_UP: u32 = 0x1;

/// Interfaces that are looked at: more are containers' ends, and the default route has been found before.
const INTERFACES_MAX: usize = 256;

/// Routes that are looked at; a router with full tables is no media server.
const ROUTES_BYTES_MAX: u64 = 256 * 1024;

/// What an interface has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) name: String,
    /// The kernel's number for it: a new interface by an old name has another one.
    pub(super) index: u32,
    pub(super) bytes: u64,
}

/// Finds the interface anew at each reading, as routes may change.
#[derive(Debug)]
pub(super) struct Interfaces {
    chosen: Option<String>,
    route_file: PathBuf,
    folder: PathBuf,
    /// The busiest one at the time, kept while it is there: two alike would take turns.
    busiest: Option<String>,
}

impl Interfaces {
    pub(super) fn new(chosen: Option<String>, route_file: PathBuf, folder: PathBuf) -> Interfaces {
        Interfaces {
            chosen,
            route_file,
            folder,
            busiest: None,
        }
    }

    /// Reads the chosen interface, else that of the default route, else the busiest.
    pub(super) fn read(&mut self) -> Option<Sent> {
        if let Some(name) = &self.chosen {
            return sent(&self.folder, name);
        }
        let routes = crate::settings::read_text(&self.route_file, ROUTES_BYTES_MAX).unwrap_or_default();
        if let Some(found) = default_route(&routes).and_then(|name| sent(&self.folder, name)) {
            return Some(found);
        }
        let kept = self.busiest.as_deref().and_then(|name| sent(&self.folder, name));
        let found = kept.or_else(|| busiest(&self.folder));
        self.busiest = found.as_ref().map(|found| found.name.clone());
        found
    }
}

/// Returns the interface of the default route with the smallest metric, from the text of `/proc/net/route`.
fn default_route(text: &str) -> Option<&str> {
    let routes = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, destination, _, flags, _, _, metric, mask, ..] = fields[..] else {
            return None;
        };
        let is_up = u32::from_str_radix(flags, 16).ok()? & ROUTE_IS_UP != 0;
        let is_default = u32::from_str_radix(destination, 16).ok()? == 0 && u32::from_str_radix(mask, 16).ok()? == 0;
        (is_up && is_default).then_some((metric.parse::<u32>().ok()?, name))
    });
    routes.min().map(|(_, name)| name)
}

fn busiest(folder: &Path) -> Option<Sent> {
    let entries = std::fs::read_dir(folder).ok()?.take(INTERFACES_MAX).flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name != "lo")
        .filter_map(|name| sent(folder, &name))
        .max_by(|a, b| (a.bytes, &b.name).cmp(&(b.bytes, &a.name)))
}

fn sent(folder: &Path, name: &str) -> Option<Sent> {
    let number = |file: &str| std::fs::read_to_string(folder.join(name).join(file)).ok();
    Some(Sent {
        name: name.to_owned(),
        index: number("ifindex")?.trim().parse().ok()?,
        bytes: number("statistics/tx_bytes")?.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn place(folder: &Path, name: &str, index: u32, bytes: &str) {
        std::fs::create_dir_all(folder.join(name).join("statistics")).unwrap();
        std::fs::write(folder.join(name).join("ifindex"), format!("{index}\n")).unwrap();
        std::fs::write(folder.join(name).join("statistics/tx_bytes"), bytes).unwrap();
    }

    #[test]
    fn the_default_route_is_the_one_in_use_with_the_smallest_metric() {
        let routes = format!(
            "{HEADER}eth1\t00000000\t010200C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n\
             eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             down\t00000000\t010200C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n\
             half\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n\
             eth2\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        );
        assert_eq!(default_route(&routes), Some("eth0"));
        assert_eq!(default_route(HEADER), None);
        assert_eq!(default_route("garbage\n\u{0}\u{0} x\nzz zz zz zz zz zz zz zz"), None);
    }

    #[test]
    fn without_a_default_route_the_busiest_counts_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let net = folder.path().join("net");
        for (name, index, bytes) in [("lo", 1, "999"), ("eth0", 2, "10"), ("eth1", 3, "20"), ("odd", 4, "-")] {
            place(&net, name, index, bytes);
        }
        let mut interfaces = Interfaces::new(None, folder.path().join("route"), net.clone());
        let name = |interfaces: &mut Interfaces| interfaces.read().map(|sent| sent.name);
        assert_eq!(name(&mut interfaces), Some("eth1".into()));
        place(&net, "eth0", 2, "30");
        assert_eq!(name(&mut interfaces), Some("eth1".into()));
        std::fs::remove_dir_all(net.join("eth1")).unwrap();
        assert_eq!(name(&mut interfaces), Some("eth0".into()));
    }

    #[test]
    fn a_chosen_interface_that_is_not_there_is_not_replaced_by_another() {
        let folder = tempfile::tempdir().unwrap();
        place(folder.path(), "eth0", 2, "10\n");
        let of = |name: &str| Interfaces::new(Some(name.into()), "/nonexistent".into(), folder.path().into()).read();
        assert_eq!(of("eth1"), None);
        assert_eq!(of("eth0").map(|sent| (sent.index, sent.bytes)), Some((2, 10)));
    }
}
