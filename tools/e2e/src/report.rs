//! What is printed: each step, what it proved, with its figures.

#![expect(clippy::print_stdout, reason = "the report is what was asked for")]

use std::time::{Duration, Instant};

/// Prints something that was proved, or a figure, as `format!` makes it.
macro_rules! say {
    ($($text:tt)*) => { $crate::report::line(&format!($($text)*)) };
}
pub(crate) use say;

/// The title of a step.
pub(crate) fn step(name: &str, about: &str) {
    println!("\n=== {name}: {about}");
}

/// Prints a line below the title.
pub(crate) fn line(what: &str) {
    println!("  {what}");
}

/// What was done, and how long it took.
pub(crate) fn done(what: &str, started: Instant) {
    say!("{what} in {}", time(started.elapsed()));
}

/// The last line, in the form of cargo test's, which CI adds up.
pub(crate) fn result(passed: usize) {
    println!("test result: ok. {passed} passed; 0 failed; 0 ignored");
}

/// A figure beside its goal. It fails nothing: steps fail on wrong answers, not on slow ones, as the machine may be busy.
pub(crate) fn figure(what: &str, figure: &str, goal: &str, reached: bool) {
    say!("{what}: {figure} (goal {goal}{})", if reached { "" } else { ": MISSED" });
}

/// As `12.3 s` or `45 ms`.
pub(crate) fn time(time: Duration) -> String {
    if time >= Duration::from_secs(1) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(time(Duration::from_micros(45_678)), "45.7 ms");
        assert_eq!(time(Duration::from_millis(12_345)), "12.3 s");
    }
}
