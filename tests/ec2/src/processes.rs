//! User data as real processes of this machine: one process group an instance, in a folder of its own.
//!
//! A group is signalled only while its leader is not reaped, so that its number cannot belong to anybody else; nothing that was
//! not started here is ever signalled. A process that leaves its group (`setsid`) is out of reach.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::TempDir;

use crate::world::InstanceId;

/// How long a group may take to end itself before it is killed.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);

/// How long the last words of a dead group are waited for; longer only if something has left the group and kept its output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long ending the fake waits for killed groups to be reaped.
const REAP: Duration = Duration::from_secs(2);

/// How much output is handed over at a time.
const READ_BYTES: usize = 8 * 1024;

/// What becomes of a process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProcessEvent {
    /// It wrote.
    Output(InstanceId, Vec<u8>),
    /// It has ended.
    Ended(InstanceId),
}

/// Why a script could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The first line names no program.
    #[error("user data of {0} names no interpreter after #!")]
    NoInterpreter(InstanceId),
    /// No folder for it.
    #[error("no folder for the user data of {0}")]
    Folder(InstanceId, #[source] io::Error),
    /// The program cannot be started.
    #[error("cannot start the user data of {0}")]
    Start(InstanceId, #[source] io::Error),
    /// No thread to watch over it.
    #[error("cannot watch the user data of {0}")]
    Watch(InstanceId, #[source] io::Error),
}

/// The process groups that run.
#[derive(Debug, Clone)]
pub(crate) struct Processes {
    running: Arc<Running>,
    events: tokio::sync::mpsc::Sender<ProcessEvent>,
}

#[derive(Debug, Default)]
struct Running {
    groups: Mutex<BTreeMap<InstanceId, Pid>>,
    ended: Condvar,
}

impl Processes {
    /// Makes a place for processes whose fates are told to `events`.
    pub(crate) fn new(events: tokio::sync::mpsc::Sender<ProcessEvent>) -> Processes {
        Processes {
            running: Arc::new(Running::default()),
            events,
        }
    }

    /// Runs an instance's script.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub(crate) fn run(&self, id: &InstanceId, script: &[u8], url: &str) -> Result<(), RunError> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("fake-ec2-{id}-"))
            .tempdir()
            .map_err(|error| RunError::Folder(id.clone(), error))?;
        let file = folder.path().join("user-data");
        fs::write(&file, script).map_err(|error| RunError::Folder(id.clone(), error))?;
        let mut command = interpreter(id, script)?;
        let (output, input) = io::pipe().map_err(|error| RunError::Start(id.clone(), error))?;
        let second = input.try_clone().map_err(|error| RunError::Start(id.clone(), error))?;
        command
            .arg(&file)
            .current_dir(folder.path())
            .env("USHER_FAKE_IMDS", format!("{url}/imds/{id}"))
            .env("USHER_FAKE_INSTANCE", id.as_str())
            .stdin(Stdio::null())
            .stdout(input)
            .stderr(second)
            .process_group(0);
        let mut groups = self.running.groups();
        let child = command.spawn().map_err(|error| RunError::Start(id.clone(), error))?;
        // The command still holds the pipe's writing end, and with it the reader would never see the end.
        drop(command);
        groups.insert(id.clone(), Pid::from_child(&child));
        drop(groups);
        self.watch(id.clone(), child, output, folder)
    }

    /// Asks a group to end.
    pub(crate) fn ask_to_end(&self, id: &InstanceId) {
        self.running.signal(id, Signal::TERM);
    }

    /// Kills a group.
    pub(crate) fn kill(&self, id: &InstanceId) {
        self.running.signal(id, Signal::KILL);
    }

    /// Returns whether an instance's process runs.
    pub(crate) fn is_running(&self, id: &InstanceId) -> bool {
        self.running.groups().contains_key(id)
    }

    /// Kills all groups and waits, with a limit, until they are reaped.
    pub(crate) fn kill_all(&self) {
        let groups = self.running.groups();
        for pid in groups.values() {
            let _ = kill_process_group(*pid, Signal::KILL);
        }
        let waited = self
            .running
            .ended
            .wait_timeout_while(groups, REAP, |groups| !groups.is_empty());
        drop(waited);
    }

    fn watch(&self, id: InstanceId, mut child: Child, output: PipeReader, folder: TempDir) -> Result<(), RunError> {
        let (running, events) = (self.running.clone(), self.events.clone());
        let watched = id.clone();
        let pid = Pid::from_child(&child);
        let spawned = std::thread::Builder::new().name(format!("watch {id}")).spawn(move || {
            let (told, last_words) = mpsc::channel();
            let (reader, to) = (watched.clone(), events.clone());
            std::thread::spawn(move || {
                read_all(&reader, output, &to);
                let _ = told.send(());
            });
            // It stays unreaped, so that its number stays its own until the rest of its group is gone, too.
            while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
            let mut groups = running.groups();
            let _ = kill_process_group(pid, Signal::KILL);
            groups.remove(&watched);
            let _ = child.wait();
            drop(groups);
            drop(folder);
            running.ended.notify_all();
            let _ = last_words.recv_timeout(LAST_WORDS);
            let _ = events.blocking_send(ProcessEvent::Ended(watched));
        });
        spawned.map(|_| ()).map_err(|error| {
            self.kill(&id);
            RunError::Watch(id, error)
        })
    }
}

impl Running {
    fn groups(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Pid>> {
        self.groups.lock().expect("nothing panics while it holds this lock")
    }

    fn signal(&self, id: &InstanceId, signal: Signal) {
        let groups = self.groups();
        if let Some(pid) = groups.get(id) {
            let _ = kill_process_group(*pid, signal);
        }
    }
}

/// Returns the program that a script's first line names, with its one argument, as Linux reads such lines.
///
/// The program is run with the script, rather than the script itself: a file that was just written may still be open in
/// another thread's child, and could then not be executed.
fn interpreter(id: &InstanceId, script: &[u8]) -> Result<Command, RunError> {
    let line = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let words = line.trim_start_matches("#!").trim();
    let (program, argument) = match words.split_once(char::is_whitespace) {
        Some((program, argument)) => (program, Some(argument.trim())),
        None => (words, None),
    };
    if program.is_empty() {
        return Err(RunError::NoInterpreter(id.clone()));
    }
    let mut command = Command::new(program);
    command.args(argument);
    Ok(command)
}

fn read_all(id: &InstanceId, mut output: PipeReader, events: &tokio::sync::mpsc::Sender<ProcessEvent>) {
    let mut buffer = [0u8; READ_BYTES];
    loop {
        match output.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let event = ProcessEvent::Output(id.clone(), buffer[..count].to_vec());
                if events.blocking_send(event).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
