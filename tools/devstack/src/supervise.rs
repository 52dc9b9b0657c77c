//! A child process that cannot outlive its parent.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::interrupt;

/// How often a state is asked for that cannot be waited on.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// What a program in the foreground has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

/// A process group with a watchdog at its head, which stops the group when this value is dropped and also when this
/// process is killed.
#[derive(Debug)]
pub struct Supervised {
    watchdog: Child,
    lifeline: Option<ChildStdin>,
    grace: Duration,
}

impl Supervised {
    /// Starts `command` with its output in `log`. At the end it has `grace`, in whole seconds, between SIGTERM and
    /// SIGKILL (zero kills at once), and `directory` is removed. The log stays locked for as long as the process or its
    /// watchdog lives.
    pub(crate) fn start(
        command: &Command,
        log: &Path,
        grace: Duration,
        directory: &Path,
    ) -> Result<Supervised> {
        let log = lock(log)?;
        let both = log.try_clone()?;
        Supervised::spawn(command, [Stdio::from(log), Stdio::from(both)], grace, directory)
    }

    /// Starts `command` with its output where this process has its own.
    pub(crate) fn start_in_foreground(command: &Command) -> Result<Supervised> {
        Supervised::spawn(command, [Stdio::inherit(), Stdio::inherit()], GRACE, Path::new(""))
    }

    fn spawn(command: &Command, output: [Stdio; 2], grace: Duration, directory: &Path) -> Result<Supervised> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", include_str!("watchdog.sh"), "watchdog"]);
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        shell.env("WATCHDOG_GRACE", grace.as_secs().to_string()).env("WATCHDOG_DIRECTORY", directory);
        let [stdout, stderr] = output;
        // A group of its own: the terminal's Ctrl-C reaches this process alone, which then stops things in order.
        shell.process_group(0).stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
        let mut watchdog = shell.spawn().context("cannot start /bin/sh")?;
        let lifeline = watchdog.stdin.take();
        Ok(Supervised { watchdog, lifeline, grace })
    }

    /// The exit status, where the process has ended by itself.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.watchdog.try_wait()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`interrupt::Interrupted`] once a signal has asked this process to end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            interrupt::check()?;
            sleep(POLL);
        }
    }

    /// SIGSTOP for the process and its watchdog. On a busy machine the process's threads run on for a while: on Linux, this
    /// returns when none does any more.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let patience = Instant::now() + Duration::from_secs(5);
        while runs(self.watchdog.id()) {
            ensure!(Instant::now() < patience, "a process that was told to stop runs on");
            sleep(POLL);
        }
        Ok(())
    }

    /// SIGCONT for both.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGKILL for the process, then waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        ensure!(self.ended()?.is_none(), "the process has ended already");
        kill_process(Pid::from_child(&self.watchdog), Signal::USR2)?;
        self.resume()?;
        self.watchdog.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process_group(Pid::from_child(&self.watchdog), signal).context("the process has ended already")
    }

    fn stop(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        // It may have been paused, and its watchdog with it.
        self.resume().ok();
        drop(self.lifeline.take());
        let patience = Instant::now() + self.grace + Duration::from_secs(10);
        while self.ended()?.is_none() {
            if Instant::now() > patience {
                self.signal(Signal::KILL)?;
            }
            sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("farmlokal-dev: cannot stop a process: {error:#}");
        }
    }
}

/// Runs `command` to its end, supervised, with its output where this process has its own.
///
/// # Errors
/// It cannot be started, it fails, or a signal asks this process to end.
pub fn run(command: &Command) -> Result<()> {
    let status = Supervised::start_in_foreground(command)?.wait()?;
    let words = std::iter::once(command.get_program()).chain(command.get_args()).take(3);
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    ensure!(status.success(), "{} failed ({status})", words.join(" "));
    Ok(())
}

/// The log file, emptied and locked. The lock belongs to the open file, which the child inherits: it is released when
/// the last process that writes to it is gone, however that ended. A server of before is waited for.
fn lock(log: &Path) -> Result<File> {
    let open = OpenOptions::new().append(true).create(true).open(log);
    let file = open.with_context(|| format!("cannot write {}", log.display()))?;
    let (name, patience) = (log.display(), Instant::now() + Duration::from_mins(1));
    if file.try_lock().is_err() {
        eprintln!("farmlokal-dev: another run uses {name}: waiting up to a minute for its end");
        while file.try_lock().is_err() {
            interrupt::check()?;
            ensure!(Instant::now() < patience, "another run still uses {name}: end it first");
            sleep(POLL);
        }
    }
    file.set_len(0)?;
    Ok(file)
}

/// Whether a thread of this process group is not stopped, where `/proc` tells.
fn runs(group: u32) -> bool {
    let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let threads = folders(Path::new("/proc")).flat_map(|process| folders(&process.join("task")));
    threads.filter_map(|thread| fs::read_to_string(thread.join("stat")).ok()).any(|stat| {
        // After the name in parentheses: the state, the parent, the process group.
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let state = fields.next();
        fields.nth(1) == Some(&group.to_string()) && !matches!(state, Some("T" | "t" | "Z" | "X"))
    })
}
