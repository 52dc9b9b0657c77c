//! A line chart as SVG.

use std::fmt::Write as _;

const COLOURS: [&str; 4] = ["#1b6ca8", "#d1495b", "#2e8b57", "#8a5fbf"];

/// Lines with their names, over axes that begin at zero: x from 60 to 530, y from 270 up to 20.
pub(crate) fn lines(x_label: &str, y_label: &str, lines: &[(String, Vec<(f64, f64)>)]) -> String {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let x_end = round_up(points().map(|point| point.0).fold(0.0, f64::max));
    let y_end = round_up(points().map(|point| point.1).fold(0.0, f64::max) * 1.2);
    let (x, y) = (|value: f64| 60.0 + value / x_end * 470.0, |value: f64| 270.0 - value / y_end * 250.0);
    let mut svg =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 650 320\" font-family=\"sans-serif\" \
                   font-size=\"12\" fill=\"#333\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
            .to_owned();
    for fifth in 0..=5 {
        let (across, up) = (f64::from(fifth) / 5.0 * x_end, f64::from(fifth) / 5.0 * y_end);
        let (x, y, across, up) = (x(across), y(up), tick(across), tick(up));
        let _ = writeln!(
            svg,
            "<path d=\"M60 {y:.1}H530\" stroke=\"#ddd\"/><text x=\"52\" y=\"{y:.1}\" dy=\"4\" text-anchor=\"end\">{up}</text>\
             <text x=\"{x:.1}\" y=\"288\" text-anchor=\"middle\">{across}</text>"
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"295\" y=\"310\" text-anchor=\"middle\">{x_label}</text>\
         <text transform=\"translate(16 145) rotate(-90)\" text-anchor=\"middle\">{y_label}</text>"
    );
    for (row, ((name, points), colour)) in (0_u8..).zip(lines.iter().zip(COLOURS.iter().cycle())) {
        let path: Vec<String> = points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
        let (path, beside) = (path.join(" "), 36 + 18 * row);
        let _ = writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"540\" y=\"{beside}\" fill=\"{colour}\">{name}</text>"
        );
    }
    svg + "</svg>\n"
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= value).unwrap_or(value)
}

fn tick(value: f64) -> String {
    if value >= 1_000.0 {
        format!("{}k", value / 1_000.0)
    } else {
        format!("{}", (value * 1e3).round() / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.9, 1.2, 990_000.0].map(|end| tick(round_up(end))), ["1", "2", "1000k"]);
        assert_eq!([0.0, 0.4, 2.0, 200_000.0].map(tick), ["0", "0.4", "2", "200k"]);
    }

    #[test]
    fn every_line_is_drawn_and_named() {
        let svg = lines("x", "y", &[("one".into(), vec![(0.0, 1.0), (10.0, 2.0)]), ("two".into(), vec![])]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains(">one</text>") && svg.ends_with("</svg>\n"));
    }
}
