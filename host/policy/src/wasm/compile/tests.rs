//! The parent against children that do what they like, and the reply between the two.

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::options::{ChildProgram, LogLevel};
use crate::tests::guests::Guest;

fn shell(script: &str) -> ChildProgram {
    ChildProgram {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
    }
}

fn guest() -> Vec<u8> {
    Guest::places("(call $on (i32.const 4))").build()
}

/// A child that says what is in a file, whatever it is asked.
fn says(file: &Path) -> ChildProgram {
    ChildProgram {
        program: "/bin/cat".into(),
        arguments: vec![file.into()],
    }
}

fn reply(bytes: Vec<u8>) -> Vec<u8> {
    let mut reply = Vec::new();
    reply::write(&mut reply, child::made(bytes)).unwrap();
    reply
}

fn made_by(program: ChildProgram) -> Result<Ready, CompileError> {
    let compiler = Compiler::new(CompileIn::Child(program)).unwrap();
    compiler.make(Module::new(guest())).map_err(|error| match error {
        MakeError::Compile(error) => error,
        MakeError::Check(error) => panic!("it is a policy: {error}"),
    })
}

fn failed(script: &str) -> CompileError {
    match made_by(shell(script)) {
        Ok(_) => panic!("{script} made something"),
        Err(error) => error,
    }
}

#[test]
fn what_a_child_has_compiled_starts_here() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), reply(guest())).unwrap();
    let ready = made_by(says(file.path())).unwrap();
    assert!(ready.parts().place && !ready.parts().scales());
    assert_eq!(ready.hash(), Hash::of(&guest()));
    ready.start("a".into(), "{}", LogLevel::Info).unwrap();
}

#[test]
fn what_a_child_says_of_a_file_is_said_in_its_words() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), reply(b"fn main() {}".to_vec())).unwrap();
    let compiler = Compiler::new(CompileIn::Child(says(file.path()))).unwrap();
    let error = compiler.make(Module::new(guest())).err().unwrap();
    assert_eq!(error, MakeError::Check(CheckError::Text));
    // A file that is none is not compiled.
    assert_eq!(compiler.compilations(), 0);
}

#[test]
fn a_reply_that_is_not_whole_is_none() {
    let whole = reply(guest());
    assert!(reply::read(&whole).is_some_and(|made| made.is_ok()));
    for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        assert!(reply::read(&whole[..length]).is_none(), "{length} bytes");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(reply::read(&longer).is_none());
    assert!(reply::read(&[0xff; 64]).is_none());
    let refused = reply(b"fn main() {}".to_vec());
    assert_eq!(reply::read(&refused), Some(Err(MakeError::Check(CheckError::Text))));
    assert!(reply::read(&refused[..refused.len() - 1]).is_none());
}

#[test]
fn the_way_in_which_a_child_ends_is_said_for_the_author() {
    assert_eq!(failed("kill -XCPU $$"), CompileError::TimeLimit);
    assert_eq!(failed("kill -KILL $$"), CompileError::Killed);
    assert_eq!(
        failed("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$"),
        CompileError::MemoryLimit
    );
    assert_eq!(
        failed("echo 'thread x has overflowed its stack' >&2; kill -ABRT $$"),
        CompileError::TooDeep
    );
    for (script, words) in [
        ("kill -SEGV $$", "SIGSEGV"),
        ("echo 'panicked at code.rs' >&2; exit 101", "101: panicked at code.rs"),
        ("exit 0", "not whole"),
        ("echo hello", "not whole"),
    ] {
        let error = failed(script).to_string();
        assert!(error.contains(words), "{script}: {error}");
    }
    let nobody = ChildProgram {
        program: "/nowhere/usher".into(),
        arguments: Vec::new(),
    };
    assert!(matches!(made_by(nobody), Err(CompileError::NoChild(_))));
}

#[test]
fn a_child_that_says_too_much_is_ended() {
    let script = format!("head -c {} /dev/zero; exec sleep 100", REPLY_BYTES_MAX + 1);
    assert_eq!(failed(&script), CompileError::TooMuchCode);
}

#[test]
fn a_child_that_takes_too_long_is_ended_also_while_it_does_not_listen() {
    let bytes = vec![0; 4 << 20];
    let deadline = Instant::now() + Duration::from_millis(50);
    let heard = parent::ask(&shell("exec sleep 100"), &Children::default(), &bytes, deadline);
    assert_eq!(heard, Err(CompileError::Starved));
    assert!(deadline.elapsed() < Duration::from_secs(50));
}

#[test]
fn a_stop_ends_what_compiles_and_lets_nothing_start() {
    let compiler = Compiler::new(CompileIn::Child(shell("exec sleep 100"))).unwrap();
    let children = compiler.children();
    let stopped = MakeError::Compile(CompileError::Stopped);
    std::thread::scope(|scope| {
        let made = scope.spawn(|| compiler.make(Module::new(guest())).err());
        while children.is_idle() {
            std::thread::yield_now();
        }
        children.stop();
        assert_eq!(made.join().unwrap(), Some(stopped.clone()));
    });
    assert_eq!(compiler.make(Module::new(guest())).err(), Some(stopped));
}
