//! Whether an operator's program can be started, asked before it is needed.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use usher_cloud::ExecConfig;

use crate::config::problem::{Collector, Place};
use crate::config::raw::RawExec;
use crate::config::section::Entry;

/// Returns the programs; `None` with a problem where one is missing.
pub(super) fn exec(raw: &RawExec, base_dir: &Path, problems: &mut Collector<'_>) -> Option<ExecConfig> {
    let launch = command(&raw.launch, "[\"./launch.sh\"]", base_dir, problems);
    let terminate = command(&raw.terminate, "[\"./terminate.sh\"]", base_dir, problems);
    let list = command(&raw.list, "[\"./list.sh\"]", base_dir, problems);
    Some(ExecConfig {
        launch: launch?,
        terminate: terminate?,
        list: list?,
        timeout: raw.timeout_seconds.or(ExecConfig::TIMEOUT_DEFAULT),
        programs_max: raw
            .programs_max
            .get()
            .map_or(ExecConfig::PROGRAMS_MAX_DEFAULT, |most| *most as usize),
    })
}

fn command(
    entry: &Entry<Vec<String>>,
    example: &str,
    base_dir: &Path,
    problems: &mut Collector<'_>,
) -> Option<Vec<String>> {
    let command = entry.required(example, problems)?;
    let Some(program) = command.first() else {
        problems.problem(&entry.at, "names no program", format!("write for example {example}"));
        return None;
    };
    check_program(program, &entry.at, base_dir, problems);
    Some(command.clone())
}

fn check_program(program: &str, at: &Place, base_dir: &Path, problems: &mut Collector<'_>) {
    if !program.contains('/') {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !is_in_path(program, &path) {
            let remedy = format!("install it, or write \"./{program}\" if it stands beside this file");
            problems.problem(at, format!("there is no program {program} in PATH"), remedy);
        }
        return;
    }
    let path: PathBuf = base_dir.join(program);
    match std::fs::metadata(&path) {
        Err(error) => {
            let wrong = format!("the program {} cannot be found: {error}", path.display());
            problems.problem(at, wrong, "relative paths count from the config file's folder");
        }
        Ok(found) if !found.is_file() => {
            problems.problem(
                at,
                format!("{} is no program", path.display()),
                "name an executable file",
            );
        }
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            let wrong = format!("the program {} is not executable", path.display());
            problems.problem(at, wrong, format!("run: chmod +x {}", path.display()));
        }
        Ok(_) => {}
    }
}

fn is_in_path(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}
