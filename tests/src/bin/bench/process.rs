//! What a process that was started here takes of the machine; and its end with whoever started it.

use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts one without input; what it says nobody hears.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Running> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = quiet.spawn();
        Ok(Running(child.with_context(|| {
            format!("cannot start {}", command.get_program().display())
        })?))
    }

    /// Returns it, unless it has ended.
    pub(crate) fn alive(&mut self) -> anyhow::Result<&Child> {
        let ended = self.0.try_wait().context("a process cannot be looked at")?;
        match ended {
            Some(status) => anyhow::bail!("a process has ended with {status}"),
            None => Ok(&self.0),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the memory that a process has now, in MiB.
pub(crate) fn resident_mib(process: &Child) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
    let status = status.context("cannot read how much memory a process has")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = kib.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kib.context("the system does not tell how much memory a process has")? / 1024.0)
}

/// Returns how long a process has worked so far, in ticks.
pub(crate) fn worked_ticks(process: &Child) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id()));
    ticks(&stat.context("cannot read how long a process has worked")?)
        .context("the system does not tell how long a process has worked")
}

/// Returns how many seconds the threads that a process has now have worked, to the nanosecond.
pub(crate) fn worked_seconds(process: &Child) -> anyhow::Result<f64> {
    let tasks = format!("/proc/{}/task", process.id());
    let tasks = std::fs::read_dir(tasks).context("cannot list a process's threads")?;
    let mut nanoseconds = 0;
    for task in tasks {
        let stat = task
            .context("cannot list a process's threads")?
            .path()
            .join("schedstat");
        let stat = std::fs::read_to_string(stat).context("the system does not tell how long a thread has worked")?;
        let worked = stat.split(' ').next().and_then(|worked| worked.parse::<u64>().ok());
        nanoseconds += worked.context("how long a thread has worked is no number")?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Reads fields 14 and 15, user and system time; the second, the program's name, may have spaces but ends with the last `)`.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_user_and_system_time() {
        let stat = "17 (usher (x) y) S 1 2 3 4 5 6 7 8 9 10 300 20 0 0 20 0 9 0 1";
        assert_eq!(ticks(stat), Some(320));
        assert_eq!(ticks("17 (usher) S 1"), None);
    }
}
