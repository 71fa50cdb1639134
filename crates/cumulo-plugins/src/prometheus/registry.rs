//! What was measured, and its text.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use cumulo_core::{
    clock::{Clock as _, SystemClock},
    metrics::{Label, Metrics},
    object::Timestamp,
    settings::Settings,
};
use tracing::warn;

use super::number;

/// Everything that was measured.
pub(super) struct Registry {
    prefix: String,
    /// Names without prefix.
    disabled: Vec<String>,
    /// The upper bounds of buckets; the last is infinite.
    bounds: Arc<[f64]>,
    max_series: usize,
    tells_created: bool,
    clock: SystemClock,
    started: Timestamp,
    /// By the names that they are measured under.
    known: RwLock<HashMap<String, Option<Arc<Family>>>>,
    /// In the order in which they were first measured.
    families: Mutex<Vec<Arc<Family>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Summary,
    Histogram,
}

/// One metric.
struct Family {
    /// With prefix.
    name: String,
    kind: Kind,
    series: Mutex<AllSeries>,
}

#[derive(Default)]
struct AllSeries {
    by_labels: HashMap<Box<str>, usize>,
    list: Vec<Series>,
}

/// The values of a metric that have the same labels.
struct Series {
    /// Sorted, such as `method="get",status="200"`.
    labels: Box<str>,
    /// Where `le` stands among them.
    place_of_le: usize,
    created: Timestamp,
    count: u64,
    sum: f64,
    /// How many values are in each bucket alone.
    buckets: Vec<u64>,
}

impl Registry {
    pub(super) fn new(settings: &Settings) -> Self {
        let prefix = prefix(settings);
        let disabled = settings.prometheus_disabled_metrics.iter();
        let disabled = disabled.map(|name| match name.strip_prefix(&prefix) {
            Some(rest) => rest.to_owned(),
            None => name.clone(),
        });
        let clock = SystemClock::default();
        Self {
            disabled: disabled.collect(),
            bounds: settings.histogram_bounds().unwrap_or_default().into(),
            max_series: settings.metrics_max_series,
            tells_created: settings.prometheus_created_metrics_enabled,
            started: clock.now(),
            clock,
            known: RwLock::default(),
            families: Mutex::default(),
            prefix,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// When the service began.
    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    /// The metric with this name; none if it is disabled.
    fn family(&self, name: &str, kind: Kind) -> Option<Arc<Family>> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return known.clone();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let fixed = fixed_name(name);
            if self.disabled.contains(&fixed) {
                return None;
            }
            let name = format!("{}{fixed}", self.prefix);
            let family = Arc::new(Family { name, kind, series: Mutex::default() });
            self.families.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&family));
            Some(family)
        };
        known.entry(name.to_owned()).or_insert_with(make).clone()
    }

    fn record(&self, name: &str, kind: Kind, value: f64, labels: &[Label<'_>]) {
        let Some(family) = self.family(name, kind) else { return };
        if family.kind != kind {
            return warn!(metric = family.name, "it is measured as two different kinds");
        }
        let (mut key, mut place_of_le) = key(labels);
        let mut all = family.series.lock().unwrap_or_else(PoisonError::into_inner);
        if all.list.len() >= self.max_series && !all.by_labels.contains_key(key.as_str()) {
            let others: Vec<_> = labels.iter().map(|(name, _)| (*name, "other")).collect();
            (key, place_of_le) = self::key(&others);
            if !all.by_labels.contains_key(key.as_str()) {
                warn!(metric = family.name, "there are too many series (metrics_max_series)");
            }
        }
        let index = match all.by_labels.get(key.as_str()) {
            Some(index) => *index,
            None => all.add(key.into(), place_of_le, self.clock.now(), self.buckets_of(kind)),
        };
        let series = &mut all.list[index];
        series.count += 1;
        series.sum += value;
        if kind == Kind::Histogram
            && let Some(bucket) = self.bounds.iter().position(|bound| value <= *bound)
        {
            series.buckets[bucket] += 1;
        }
    }

    fn buckets_of(&self, kind: Kind) -> usize {
        if kind == Kind::Histogram { self.bounds.len() } else { 0 }
    }

    /// Adds the text of all metrics.
    pub(super) fn write(&self, text: &mut String) {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for family in families {
            // Strings take everything.
            let _ = self.write_family(&family, text);
        }
    }

    fn write_family(&self, family: &Family, text: &mut String) -> std::fmt::Result {
        let name = &family.name;
        let (shown, kind, described) = match family.kind {
            Kind::Counter => (format!("{name}_total"), "counter", "Counter"),
            Kind::Summary => (name.clone(), "summary", "Summary"),
            Kind::Histogram => (name.clone(), "histogram", "Histogram"),
        };
        writeln!(text, "# HELP {shown} {described} of {name}\n# TYPE {shown} {kind}")?;
        let all = family.series.lock().unwrap_or_else(PoisonError::into_inner);
        for series in &all.list {
            self.write_series(family, series, text)?;
        }
        if self.tells_created {
            writeln!(text, "# HELP {name}_created {described} of {name}")?;
            writeln!(text, "# TYPE {name}_created gauge")?;
            for series in &all.list {
                let seconds = number::show(seconds(series.created));
                writeln!(text, "{name}_created{} {seconds}", braced(&series.labels))?;
            }
        }
        Ok(())
    }

    fn write_series(
        &self,
        family: &Family,
        series: &Series,
        text: &mut String,
    ) -> std::fmt::Result {
        let (name, labels) = (&family.name, braced(&series.labels));
        if family.kind == Kind::Counter {
            return writeln!(text, "{name}_total{labels} {}", number::show(series.sum));
        }
        let (before, after) = series.labels.split_at(series.place_of_le);
        let comma_before = if before.is_empty() || before.ends_with(',') { "" } else { "," };
        let comma_after = if after.is_empty() { "" } else { "," };
        let mut so_far = 0;
        for (bound, count) in self.bounds.iter().zip(&series.buckets) {
            so_far += count;
            let bound = number::show(*bound);
            let le = format!("{comma_before}le=\"{bound}\"{comma_after}");
            writeln!(text, "{name}_bucket{{{before}{le}{after}}} {so_far}.0")?;
        }
        writeln!(text, "{name}_count{labels} {}.0", series.count)?;
        writeln!(text, "{name}_sum{labels} {}", number::show(series.sum))
    }
}

impl Metrics for Registry {
    fn timing(&self, name: &str, took: Duration, labels: &[Label<'_>]) {
        self.record(name, Kind::Histogram, took.as_secs_f64(), labels);
    }

    #[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
    fn size(&self, name: &str, size: u64, labels: &[Label<'_>]) {
        self.record(name, Kind::Summary, size as f64, labels);
    }

    fn count(&self, name: &str, labels: &[Label<'_>]) {
        self.record(name, Kind::Counter, 1.0, labels);
    }
}

impl AllSeries {
    /// Adds a series; its place.
    fn add(
        &mut self,
        labels: Box<str>,
        place_of_le: usize,
        created: Timestamp,
        buckets: usize,
    ) -> usize {
        let index = self.list.len();
        self.by_labels.insert(labels.clone(), index);
        let buckets = vec![0; buckets];
        self.list.push(Series { labels, place_of_le, created, count: 0, sum: 0.0, buckets });
        index
    }
}

/// One word before the first underscore: some systems group by that.
fn prefix(settings: &Settings) -> String {
    let prefix = match settings.prometheus_prefix.as_str() {
        "project_name" => &settings.project_name,
        prefix => prefix,
    };
    let word: String = prefix.chars().filter(char::is_ascii_alphanumeric).collect();
    if word.is_empty() { word } else { word.to_ascii_lowercase() + "_" }
}

/// The name with what a name can have.
fn fixed_name(name: &str) -> String {
    let fixed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    name.chars().map(fixed).collect()
}

/// The labels in their order, and where `le` stands among them.
fn key(labels: &[Label<'_>]) -> (String, usize) {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let (mut key, mut place_of_le) = (String::with_capacity(128), None);
    for (name, value) in sorted {
        if !key.is_empty() {
            key.push(',');
        }
        if name > "le" && place_of_le.is_none() {
            place_of_le = Some(key.len());
        }
        key.push_str(&fixed_name(name));
        key.push_str("=\"");
        push_escaped(value, &mut key);
        key.push('"');
    }
    let end = key.len();
    (key, place_of_le.unwrap_or(end))
}

fn push_escaped(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

/// Labels as they stand behind a name.
fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

#[expect(clippy::cast_precision_loss, reason = "it fits until the year 287396")]
fn seconds(timestamp: Timestamp) -> f64 {
    timestamp.0 as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(settings: &[(&str, &str)]) -> Registry {
        let pairs: Vec<_> =
            settings.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Registry::new(&Settings::load(&pairs, &[]).unwrap().settings)
    }

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        registry.write(&mut text);
        text
    }

    #[test]
    fn the_text_is_that_of_the_reference() {
        let registry = registry(&[
            ("project_name", "kinto PROD"),
            ("prometheus_histogram_buckets", "0.1 1 Inf"),
            ("prometheus_created_metrics_enabled", "false"),
        ]);
        registry.timing("backend.cache.seconds", Duration::from_millis(500), &[("method", "get")]);
        registry.timing("func", Duration::from_secs(2), &[]);
        registry.timing("before", Duration::from_millis(1), &[("a", "1")]);
        registry.size("request_size", 2180, &[("method", "get"), ("endpoint", "a\"b\\\n")]);
        registry.count("cache_hits", &[]);
        registry.count("cache_hits", &[]);
        assert_eq!(
            text(&registry),
            r#"# HELP kintoprod_backend_cache_seconds Histogram of kintoprod_backend_cache_seconds
# TYPE kintoprod_backend_cache_seconds histogram
kintoprod_backend_cache_seconds_bucket{le="0.1",method="get"} 0.0
kintoprod_backend_cache_seconds_bucket{le="1.0",method="get"} 1.0
kintoprod_backend_cache_seconds_bucket{le="+Inf",method="get"} 1.0
kintoprod_backend_cache_seconds_count{method="get"} 1.0
kintoprod_backend_cache_seconds_sum{method="get"} 0.5
# HELP kintoprod_func Histogram of kintoprod_func
# TYPE kintoprod_func histogram
kintoprod_func_bucket{le="0.1"} 0.0
kintoprod_func_bucket{le="1.0"} 0.0
kintoprod_func_bucket{le="+Inf"} 1.0
kintoprod_func_count 1.0
kintoprod_func_sum 2.0
# HELP kintoprod_before Histogram of kintoprod_before
# TYPE kintoprod_before histogram
kintoprod_before_bucket{a="1",le="0.1"} 1.0
kintoprod_before_bucket{a="1",le="1.0"} 1.0
kintoprod_before_bucket{a="1",le="+Inf"} 1.0
kintoprod_before_count{a="1"} 1.0
kintoprod_before_sum{a="1"} 0.001
# HELP kintoprod_request_size Summary of kintoprod_request_size
# TYPE kintoprod_request_size summary
kintoprod_request_size_count{endpoint="a\"b\\\n",method="get"} 1.0
kintoprod_request_size_sum{endpoint="a\"b\\\n",method="get"} 2180.0
# HELP kintoprod_cache_hits_total Counter of kintoprod_cache_hits
# TYPE kintoprod_cache_hits_total counter
kintoprod_cache_hits_total 2.0
"#
        );
    }

    #[test]
    fn it_is_told_since_when_a_series_is_counted() {
        let registry = registry(&[("prometheus_prefix", "")]);
        registry.count("key", &[("a", "b")]);
        let text = text(&registry);
        assert!(text.contains("# TYPE key_created gauge\nkey_created{a=\"b\"} 1."), "{text}");
    }

    #[test]
    fn metrics_can_be_left_out() {
        let registry = registry(&[("prometheus_disabled_metrics", "kinto_price func_latency")]);
        registry.count("price", &[]);
        registry.timing("func.latency", Duration::ZERO, &[]);
        registry.size("size", 1, &[]);
        let text = text(&registry);
        assert!(!text.contains("price") && !text.contains("latency"), "{text}");
        assert!(text.contains("# TYPE kinto_size summary"), "{text}");
    }

    #[test]
    fn the_series_of_a_metric_are_bounded() {
        let registry = registry(&[
            ("metrics_max_series", "10"),
            ("prometheus_created_metrics_enabled", "false"),
        ]);
        for n in 0..100 {
            registry.count("users", &[("userid", &n.to_string())]);
        }
        let text = text(&registry);
        assert_eq!(text.lines().count(), 2 + 10 + 1);
        assert!(text.contains("kinto_users_total{userid=\"other\"} 90.0"), "{text}");
    }
}
