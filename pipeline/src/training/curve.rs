//! The learning curve as SVG: loss by step, and score on each development corpus by epoch.

use plotters::prelude::*;

use super::metrics::{EpochLine, Metrics, StepLine};

/// Width and height, in pixels.
const SIZE: (u32, u32) = (960, 340);
/// Maximum number of points of the loss curve; each is the mean of several steps.
const POINTS: usize = 240;

/// Colors of the lines.
const COLORS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(23, 190, 207),
];

type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

/// A line of a chart: its name and its points.
type Series = (String, Vec<(f64, f64)>);

/// The learning curve so far; empty if it cannot be drawn.
pub(super) fn drawn(metrics: &Metrics, epochs: &[EpochLine]) -> String {
    learning_curve(&metrics.steps(), epochs).unwrap_or_else(|error| {
        tracing::warn!("no learning curve in the report: {error}");
        String::new()
    })
}

/// Draws the metrics of a run.
fn learning_curve(steps: &[StepLine], epochs: &[EpochLine]) -> Drawn<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let (left, right) = area.split_horizontally(SIZE.0 / 2);
        draw(&left, "loss by step", &[(String::new(), mean_losses(steps))], false)?;
        match held_out(epochs) {
            Some(losses) => draw(&right, "loss on held-out documents by epoch", &[losses], true)?,
            None => draw(&right, "strict entity F1 by epoch, per development corpus", &scores(epochs), true)?,
        }
        area.present()?;
    }
    Ok(svg)
}

/// One line per development corpus: epoch and micro F1.
fn scores(epochs: &[EpochLine]) -> Vec<Series> {
    let corpora = epochs.first().map_or(&[][..], |line| &line.development);
    let points =
        |at: usize| epochs.iter().filter_map(move |line| Some((line.epoch as f64, line.development.get(at)?.micro.f1)));
    corpora.iter().enumerate().map(|(at, score)| (score.corpus.clone(), points(at).collect())).collect()
}

/// Epoch and loss on held-out documents; `None` without any.
fn held_out(epochs: &[EpochLine]) -> Option<Series> {
    let points = epochs.iter().map(|line| Some((line.epoch as f64, line.held_out?.loss)));
    let points = points.collect::<Option<Vec<_>>>().filter(|points| !points.is_empty())?;
    Some(("held out".to_owned(), points))
}

/// The curve's points: step and mean loss.
fn mean_losses(steps: &[StepLine]) -> Vec<(f64, f64)> {
    let size = steps.len().div_ceil(POINTS).max(1);
    let mean = |chunk: &[StepLine]| {
        let sum: f64 = chunk.iter().map(|line| f64::from(line.loss)).sum();
        Some((chunk.last()?.step as f64, sum / chunk.len() as f64))
    };
    steps.chunks(size).filter_map(mean).collect()
}

fn draw(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    series: &[Series],
    marked: bool,
) -> Drawn<()> {
    let points = || series.iter().flat_map(|(_, points)| points);
    let Some(last) = points().map(|(x, _)| *x).reduce(f64::max) else { return Ok(()) };
    let values = points().map(|(_, y)| *y);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    let margin = ((high - low) * 0.05).max(1e-3);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last.max(1.0), low - margin..high + margin)?;
    chart.configure_mesh().x_labels(8).y_labels(8).light_line_style(TRANSPARENT).draw()?;
    for (number, (name, points)) in series.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let line = chart.draw_series(LineSeries::new(points.iter().copied(), &color))?;
        if marked {
            line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
        }
    }
    if marked {
        let position = SeriesLabelPosition::LowerRight;
        chart
            .configure_series_labels()
            .position(position)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::training::metrics::CorpusScore;
    use pubtag_corpus::score::Score;

    #[test]
    fn a_run_is_drawn_and_an_empty_one_does_not_fail() {
        let step = |step| StepLine {
            step,
            loss: 1.0 / step as f32,
            learning_rate: 0.0,
            gradient_norm: 1.0,
            tokens: 1,
            seconds: 1.0,
        };
        let score = |corpus: &str| CorpusScore {
            corpus: corpus.to_owned(),
            micro: Score { f1: 0.5, ..Score::default() },
            types: BTreeMap::new(),
        };
        let epoch = |epoch| EpochLine {
            epoch,
            loss: 0.1,
            development: ["one", "two"].map(score).to_vec(),
            held_out: None,
            tokens: 1,
            seconds: 1.0,
        };
        let steps: Vec<_> = (1..1000).map(step).collect();
        let svg = learning_curve(&steps, &[epoch(1), epoch(2)]).expect("drawn");
        assert!(svg.starts_with("<svg") && svg.contains("loss by step"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 4, "two corpora, two epochs: {svg}");
        assert!(["one", "two"].iter().all(|name| svg.contains(name)), "each corpus is named: {svg}");
        assert_eq!(mean_losses(&steps).len(), steps.len().div_ceil(steps.len().div_ceil(POINTS)));
        assert!(learning_curve(&[], &[]).is_ok());
    }
}
