//! How each host is getting on: a line per host that is drawn over on a terminal, plain lines without repetition else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Page, Settings, Tone, escape::safe};

/// Shows progress on standard error; cheap to clone. Lines that are not finished vanish with the last clone.
#[derive(Debug, Clone)]
pub struct Progress {
    settings: Settings,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    all: MultiProgress,
    bars: BTreeMap<String, ProgressBar>,
    said: BTreeMap<String, String>,
}

// === impl Progress ===

impl Progress {
    pub(super) fn new(settings: Settings) -> Self {
        let target = if settings.live {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let all = MultiProgress::with_draw_target(target);
        let state = State {
            all,
            bars: BTreeMap::new(),
            said: BTreeMap::new(),
        };
        Self {
            settings,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// What is done for this key now: a host, or a host and an assignment.
    pub fn update(&self, key: &str, text: &str) {
        if self.settings.quiet {
            return;
        }
        let text = text.lines().next().unwrap_or_default();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.settings.live {
            if state
                .said
                .insert(key.to_owned(), text.to_owned())
                .as_deref()
                != Some(text)
            {
                self.line(&state, &[(key, Tone::Strong), (text, Tone::Plain)]);
            }
            return;
        }
        let (all, color) = (state.all.clone(), self.settings.color_err);
        let bar = state.bars.entry(key.to_owned()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(style(color));
            bar.set_prefix(safe(key).into_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        bar.set_message(safe(text).into_owned());
    }

    /// It is over for this key; the line stays.
    pub fn finish(&self, key: &str, text: &str, tone: Tone) {
        if self.settings.quiet {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bars.remove(key) {
            bar.finish_and_clear();
        }
        state.said.remove(key);
        let mark = match tone {
            Tone::Good => "✓",
            Tone::Bad => "✗",
            Tone::Plain | Tone::Warn | Tone::Dim | Tone::Strong => "-",
        };
        let (first, log) = text.split_once('\n').unwrap_or((text, ""));
        self.draw(&state, |page| {
            page.words(&[(mark, tone), (key, Tone::Strong), (first, Tone::Plain)]);
            page.indented(4, log, Tone::Dim);
        });
    }

    /// A remark above the lines that are drawn.
    pub fn note(&self, words: &[(&str, Tone)]) {
        if !self.settings.quiet {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            self.line(&state, words);
        }
    }

    /// Takes the drawn lines away while the terminal is used for something else.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        let all = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all
            .clone();
        all.suspend(work)
    }

    fn line(&self, state: &State, words: &[(&str, Tone)]) {
        self.draw(state, |page| page.words(words));
    }

    fn draw(&self, state: &State, draw: impl FnOnce(&mut Page)) {
        let mut page = Page::new(self.settings.color_err, self.settings.width);
        draw(&mut page);
        let text = page.into_text();
        state.all.suspend(|| {
            use std::io::Write as _;
            // With standard error gone there is nobody left to tell.
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        });
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for bar in self.bars.values() {
            bar.finish_and_clear();
        }
    }
}

fn style(color: bool) -> ProgressStyle {
    let template = if color {
        "{spinner} {prefix:.bold} {wide_msg}"
    } else {
        "{spinner} {prefix} {wide_msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
