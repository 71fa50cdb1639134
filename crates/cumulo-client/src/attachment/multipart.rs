//! The body of an upload: `multipart/form-data` (RFC 7578).

use std::fmt::Write as _;

/// The parts of a form, of which the last is a file.
pub(super) struct Form {
    boundary: String,
    head: String,
}

impl Form {
    /// `random` makes a boundary that stands in no part.
    pub(super) fn new(random: u128) -> Self {
        Self { boundary: format!("cumulo-{random:032x}"), head: String::new() }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    fn part(&mut self, name: &str) {
        let boundary = &self.boundary;
        let written =
            write!(self.head, "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
        written.expect("text takes text");
    }

    /// A field with text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.part(name);
        self.head.extend(["\r\n\r\n", text, "\r\n"]);
    }

    /// The field with the file.
    pub(super) fn file(&mut self, name: &str, file_name: &str, media_type: &str) {
        self.part(name);
        let file_name = escape(file_name);
        self.head.extend(["; filename=\"", &file_name, "\"\r\nContent-Type: ", media_type]);
        self.head.push_str("\r\n\r\n");
    }

    /// What comes before the bytes of the file.
    pub(super) fn head(&self) -> &str {
        &self.head
    }

    /// What comes after them.
    pub(super) fn tail(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}

/// A file name as browsers write it: UTF-8, and only what would end it is encoded.
/// <https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data>
fn escape(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_one_after_another() {
        let mut form = Form::new(7);
        form.text("data", "{}");
        form.file("attachment", "é \"1\".txt", "text/plain");
        let boundary = "cumulo-00000000000000000000000000000007";
        assert_eq!(form.content_type(), format!("multipart/form-data; boundary={boundary}"));
        assert_eq!(
            form.head(),
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{{}}\r\n\
                 --{boundary}\r\nContent-Disposition: form-data; name=\"attachment\"; \
                 filename=\"é %221%22.txt\"\r\nContent-Type: text/plain\r\n\r\n"
            )
        );
        assert_eq!(form.tail(), format!("\r\n--{boundary}--\r\n"));
    }
}
