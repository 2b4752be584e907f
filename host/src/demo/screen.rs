//! The terminal: taken over while the demo plays, and given back however it ends.
//!
//! It writes to its own handle of standard output, never through the lock that `main` holds, so that a panic on any thread
//! can give the terminal back.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc;

use super::scene::Scene;
use super::view;

/// How long the keyboard is waited for before it is looked whether the demo has ended.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// Keys that nobody has taken yet: more than fingers press between two frames.
const KEYS_MAX: usize = 16;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Pause,
    Rush,
}

/// The terminal, taken over.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<File>>,
    /// Gives the terminal back when it is dropped.
    guard: Guard,
}

impl Screen {
    /// Takes the terminal over, and begins to read keys.
    ///
    /// # Errors
    /// The terminal cannot be switched; it is left as it was.
    pub(super) fn open() -> io::Result<(Screen, mpsc::Receiver<Key>)> {
        let guard = Guard::take()?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()?))?;
        let (sender, keys) = mpsc::channel(KEYS_MAX);
        let is_over = Arc::clone(&guard.is_over);
        thread::Builder::new()
            .name("usher-keys".to_owned())
            .spawn(move || read_keys(&is_over, &sender))?;
        Ok((Screen { terminal, guard }, keys))
    }

    /// Draws a scene.
    ///
    /// # Errors
    /// The terminal has gone, or something has panicked and it was given back.
    pub(super) fn draw(&mut self, scene: &Scene) -> io::Result<()> {
        if self.guard.is_over.load(Ordering::Acquire) {
            return Err(io::Error::other("something has panicked, see above; please report it"));
        }
        self.terminal.draw(|frame| view::draw(frame, scene)).map(drop)
    }
}

#[derive(Debug)]
struct Guard {
    is_over: Arc<AtomicBool>,
}

impl Guard {
    fn take() -> io::Result<Guard> {
        let guard = Guard {
            is_over: Arc::default(),
        };
        let before = std::panic::take_hook();
        let is_over = Arc::clone(&guard.is_over);
        std::panic::set_hook(Box::new(move |panic| {
            give_back(&is_over);
            before(panic);
        }));
        enable_raw_mode()?;
        // From here on dropping the guard undoes it.
        execute!(stdout()?, EnterAlternateScreen, cursor::Hide)?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back(&self.is_over);
    }
}

/// Gives the terminal back, once. What fails then cannot be helped, and must not hide why it ended.
fn give_back(is_over: &AtomicBool) {
    if is_over.swap(true, Ordering::AcqRel) {
        return;
    }
    let _ = disable_raw_mode();
    if let Ok(mut terminal) = stdout() {
        let _ = execute!(terminal, LeaveAlternateScreen, cursor::Show);
        let _ = terminal.flush();
    }
}

fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Reads keys until the demo is over, or there is no keyboard.
fn read_keys(is_over: &AtomicBool, keys: &mpsc::Sender<Key>) {
    while !is_over.load(Ordering::Acquire) {
        let event = match event::poll(KEY_WAIT) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        match event.map(|event| key(&event)) {
            // A key too many is as good as not pressed.
            Ok(Some(key)) => drop(keys.try_send(key)),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fn key(event: &Event) -> Option<Key> {
    let pressed = event.as_key_event().filter(|key| key.kind == KeyEventKind::Press)?;
    match pressed.code {
        KeyCode::Char('c') if pressed.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('p' | ' ') => Some(Key::Pause),
        KeyCode::Char('b') => Some(Key::Rush),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn control_c_quits_although_the_terminal_sends_no_signal() {
        let pressed = |code, modifiers| key(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(pressed(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::Quit));
        assert_eq!(pressed(KeyCode::Char(' '), KeyModifiers::NONE), Some(Key::Pause));
        assert_eq!(pressed(KeyCode::Char('b'), KeyModifiers::NONE), Some(Key::Rush));
        assert_eq!(key(&Event::FocusLost), None);
    }
}
