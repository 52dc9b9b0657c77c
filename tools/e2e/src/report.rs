//! What is printed: each step, what it proved, with its figures.

use std::time::Duration;

/// The title of a step.
#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
pub(crate) fn step(name: &str, about: &str) {
    println!("\n=== {name}: {about}");
}

/// Something that was proved, or a figure.
#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
pub(crate) fn say(what: impl AsRef<str>) {
    println!("  {}", what.as_ref());
}

/// The last line, in the form of cargo test's, which CI adds up.
#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
pub(crate) fn result(passed: usize) {
    println!("test result: ok. {passed} passed; 0 failed; 0 ignored");
}

/// A figure beside its goal. It fails nothing: steps fail on wrong answers, not on slow ones, as the machine may be busy.
pub(crate) fn figure(what: &str, figure: &str, goal: &str, reached: bool) {
    say(format!("{what}: {figure} (goal {goal}{})", if reached { "" } else { ": MISSED" }));
}

/// As `12.3 s` or `45 ms`.
pub(crate) fn time(time: Duration) -> String {
    if time >= Duration::from_secs(1) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    }
}

/// As `12,345`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(time(Duration::from_micros(45_678)), "45.7 ms");
        assert_eq!(time(Duration::from_millis(12_345)), "12.3 s");
    }
}
