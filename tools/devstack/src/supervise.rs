//! A child process that cannot outlive its parent.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::interrupt;

/// How often a state is asked for that cannot be waited on.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// A process group with a watchdog at its head, which stops the group when this value is dropped and also when this
/// process is killed.
#[derive(Debug)]
pub struct Supervised {
    watchdog: Child,
    lifeline: Option<ChildStdin>,
    end: End,
}

/// What happens at the end of a supervised process.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    /// Time between SIGTERM and SIGKILL, in whole seconds; zero kills at once.
    pub(crate) grace: Duration,
    /// A directory that goes with it.
    pub(crate) remove: Option<PathBuf>,
    /// The Docker container that `docker run` in the foreground stands for.
    pub(crate) container: Option<String>,
}

impl Supervised {
    /// Starts `command` with its output in `log`. The log stays locked for as long as the process or its watchdog
    /// lives; a process of before that still holds it is waited for.
    pub(crate) fn start(command: &Command, log: &Path, end: End) -> Result<Supervised> {
        let log = take_over(log)?;
        let both = log.try_clone()?;
        Supervised::spawn(command, Stdio::from(log), Stdio::from(both), end)
    }

    /// Starts `command` with its output where this process has its own.
    pub(crate) fn start_in_foreground(command: &Command, end: End) -> Result<Supervised> {
        Supervised::spawn(command, Stdio::inherit(), Stdio::inherit(), end)
    }

    fn spawn(command: &Command, stdout: Stdio, stderr: Stdio, end: End) -> Result<Supervised> {
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
        shell.env("WATCHDOG_GRACE", end.grace.as_secs().to_string());
        shell.env("WATCHDOG_DIRECTORY", end.remove.as_deref().unwrap_or(Path::new("")));
        shell.env("WATCHDOG_CONTAINER", end.container.as_deref().unwrap_or_default());
        // A group of its own: the terminal's Ctrl-C reaches this process alone, which then stops things in order.
        shell.process_group(0).stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
        let mut watchdog = shell.spawn().context("cannot start /bin/sh")?;
        let lifeline = watchdog.stdin.take();
        Ok(Supervised { watchdog, lifeline, end })
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
        self.docker_kill("STOP")?;
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
        self.docker_kill("CONT")?;
        self.signal(Signal::CONT)
    }

    /// SIGKILL for the process, then waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            bail!("the process has ended already");
        }
        self.docker_kill("KILL")?;
        self.signal(Signal::USR2)?;
        self.signal(Signal::CONT)?;
        self.watchdog.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let watchdog = Pid::from_child(&self.watchdog);
        let sent = match signal {
            Signal::USR2 => kill_process(watchdog, signal),
            _ => kill_process_group(watchdog, signal),
        };
        sent.context("the process has ended already")
    }

    fn docker_kill(&self, signal: &str) -> Result<()> {
        self.end.container.iter().try_for_each(|container| docker(&["kill", "--signal", signal, container]))
    }

    fn stop(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        // It may have been paused, and its watchdog with it.
        self.resume().ok();
        drop(self.lifeline.take());
        let patience = Instant::now() + self.end.grace + Duration::from_secs(10);
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
    let end = End { grace: Duration::from_secs(10), ..End::default() };
    let status = Supervised::start_in_foreground(command, end)?.wait()?;
    if !status.success() {
        bail!("{} failed ({status})", describe(command));
    }
    Ok(())
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).take(3);
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The log file, emptied and locked. Its lock is that of the open file, which the child inherits: it is released when
/// the last process that writes to it is gone, however that ended.
fn take_over(log: &Path) -> Result<File> {
    let open = OpenOptions::new().append(true).create(true).open(log);
    let file = open.with_context(|| format!("cannot write {}", log.display()))?;
    let patience = Instant::now() + Duration::from_mins(1);
    while file.try_lock().is_err() {
        interrupt::check()?;
        if Instant::now() > patience {
            bail!("a server of an earlier run still writes {}: end it first", log.display());
        }
        sleep(POLL);
    }
    file.set_len(0)?;
    Ok(file)
}

pub(crate) fn docker(args: &[&str]) -> Result<()> {
    let output =
        Command::new("docker").args(args).stdin(Stdio::null()).output().context("cannot run docker")?;
    if !output.status.success() {
        bail!("docker {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
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
