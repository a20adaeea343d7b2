//! What a key means: no I/O, so that every path can be tried.

use crate::keys::Key;

/// How the machine may be stopped from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Switch off.
    PowerOff,
    /// Start anew.
    Reboot,
}

/// What the program has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Draw what has changed.
    Update,
    /// Read everything anew and draw all of it.
    Refresh,
    /// Ask PID 1 to stop the machine.
    Stop(Stop),
    /// Move the view by so many lines.
    Scroll(isize),
    /// Move the view by so many screens.
    ScrollPages(isize),
    /// The terminal is this large: rows, columns.
    Size(u16, u16),
}

/// The list of keys, shown at all times.
pub const KEYS: &str = "Keys: p power off, r reboot, F5 or space refresh";

/// The conversation at the bottom of the page.
#[derive(Debug, Default)]
pub struct Dialogue {
    asking: Option<Stop>,
    message: String,
    /// Set once PID 1 has agreed: nothing more is asked then.
    stopping: bool,
}

impl Dialogue {
    /// The line to show.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether an answer is awaited.
    #[cfg(test)]
    pub fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// What a key leads to.
    pub fn key(&mut self, key: Key) -> Effect {
        if let Key::Corner(rows, columns) = key {
            return Effect::Size(rows, columns);
        }
        if let Some(stop) = self.asking.take() {
            if key == Key::Letter('y') {
                self.message = match stop {
                    Stop::PowerOff => "Powering off...".to_owned(),
                    Stop::Reboot => "Rebooting...".to_owned(),
                };
                return Effect::Stop(stop);
            }
            self.message = "Cancelled; nothing was stopped.".to_owned();
            return Effect::Update;
        }
        match key {
            Key::Letter('p') if !self.stopping => self.ask(Stop::PowerOff),
            Key::Letter('r') if !self.stopping => self.ask(Stop::Reboot),
            Key::Refresh => {
                self.clear();
                return Effect::Refresh;
            }
            Key::Up => return Effect::Scroll(-1),
            Key::Down => return Effect::Scroll(1),
            Key::PageUp => return Effect::ScrollPages(-1),
            Key::PageDown => return Effect::ScrollPages(1),
            Key::Letter(_) | Key::Escape | Key::Other if !self.stopping => {
                self.message = "That key does nothing; those that do are below.".to_owned();
            }
            _ => {}
        }
        Effect::Update
    }

    /// Nobody answered.
    pub fn time_out(&mut self) {
        if self.asking.take().is_some() {
            self.message = "No answer; nothing was stopped.".to_owned();
        } else {
            self.clear();
        }
    }

    /// PID 1 has been asked to stop the machine; it may refuse.
    pub fn stop_answered(&mut self, refusal: Option<&str>) {
        match refusal {
            None => self.stopping = true,
            Some(why) => self.message = format!("Not done: {why}"),
        }
    }

    fn ask(&mut self, stop: Stop) {
        self.asking = Some(stop);
        self.message = match stop {
            Stop::PowerOff => "Power this machine off? y: yes, any other key: no".to_owned(),
            Stop::Reboot => "Reboot this machine? y: yes, any other key: no".to_owned(),
        };
    }

    fn clear(&mut self) {
        if !self.stopping {
            self.message.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_confirmed_key_stops_the_machine() {
        for (letter, stop) in [('p', Stop::PowerOff), ('r', Stop::Reboot)] {
            let mut dialogue = Dialogue::default();
            assert_eq!(dialogue.key(Key::Letter(letter)), Effect::Update);
            assert!(dialogue.is_asking());
            assert_eq!(dialogue.key(Key::Letter('y')), Effect::Stop(stop));
            assert!(!dialogue.is_asking());
        }
    }

    #[test]
    fn anything_else_cancels_and_says_so() {
        for key in [
            Key::Letter('n'),
            Key::Letter('p'),
            Key::Letter('r'),
            Key::Refresh,
            Key::Escape,
            Key::Other,
            Key::Up,
        ] {
            let mut dialogue = Dialogue::default();
            dialogue.key(Key::Letter('p'));
            assert_eq!(dialogue.key(key), Effect::Update, "{key:?}");
            assert!(dialogue.message().starts_with("Cancelled"));
            assert_ne!(dialogue.key(Key::Letter('y')), Effect::Stop(Stop::PowerOff));
        }
        let mut dialogue = Dialogue::default();
        dialogue.key(Key::Letter('r'));
        dialogue.time_out();
        assert!(dialogue.message().starts_with("No answer"));
        assert_eq!(dialogue.key(Key::Letter('y')), Effect::Update);
    }

    #[test]
    fn a_terminal_that_answers_does_not_answer_the_question() {
        let mut dialogue = Dialogue::default();
        dialogue.key(Key::Letter('p'));
        assert_eq!(dialogue.key(Key::Corner(30, 100)), Effect::Size(30, 100));
        assert!(dialogue.is_asking());
    }

    #[test]
    fn a_mistyped_key_is_told() {
        let mut dialogue = Dialogue::default();
        dialogue.key(Key::Letter('q'));
        assert!(dialogue.message().contains("does nothing"));
        assert_eq!(dialogue.key(Key::Refresh), Effect::Refresh);
        assert_eq!(dialogue.message(), "");
    }

    #[test]
    fn a_refusal_is_shown_and_can_be_tried_again() {
        let mut dialogue = Dialogue::default();
        dialogue.key(Key::Letter('p'));
        dialogue.key(Key::Letter('y'));
        dialogue.stop_answered(Some("denied"));
        assert_eq!(dialogue.message(), "Not done: denied");
        dialogue.key(Key::Letter('p'));
        assert!(dialogue.is_asking());
        dialogue.key(Key::Letter('y'));
        dialogue.stop_answered(None);
        dialogue.key(Key::Letter('p'));
        assert!(!dialogue.is_asking());
    }
}
