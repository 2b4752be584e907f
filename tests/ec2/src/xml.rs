//! Answers in XML: elements within elements, with the text escaped. Nothing that EC2 sends needs more.

/// A document that grows.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    text: String,
}

impl Xml {
    /// Writes an answer: the element `{action}Response` in EC2's namespace, the request's id first.
    pub(crate) fn response(action: &str, request_id: &str, content: &Xml) -> String {
        let mut xml = Xml::declared();
        let open = format!("<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">");
        xml.text.push_str(&open);
        xml.leaf("requestId", request_id);
        xml.text.push_str(&content.text);
        xml.text.push_str(&format!("</{action}Response>"));
        xml.text
    }

    /// Writes an error as EC2 words it.
    pub(crate) fn error(code: &str, message: &str, request_id: &str) -> String {
        let mut xml = Xml::declared();
        xml.element("Response", |xml| {
            xml.element("Errors", |xml| {
                xml.element("Error", |xml| {
                    xml.leaf("Code", code);
                    xml.leaf("Message", message);
                });
            });
            xml.leaf("RequestID", request_id);
        });
        xml.text
    }

    /// Writes an element with others in it.
    pub(crate) fn element(&mut self, name: &str, body: impl FnOnce(&mut Xml)) {
        self.text.push_str(&format!("<{name}>"));
        body(self);
        self.text.push_str(&format!("</{name}>"));
    }

    /// Writes an element with a text in it.
    pub(crate) fn leaf(&mut self, name: &str, text: impl ToString) {
        self.element(name, |xml| xml.escaped(&text.to_string()));
    }

    /// Writes an element with a text in it, or nothing.
    pub(crate) fn leaf_if(&mut self, name: &str, text: Option<impl ToString>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }

    /// Writes a list as EC2 does: an element of `item`s.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Xml, T),
    ) {
        self.element(name, |xml| {
            for one in items {
                xml.element("item", |xml| item(xml, one));
            }
        });
    }

    fn declared() -> Xml {
        Xml {
            text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".into(),
        }
    }

    fn escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\r' => self.text.push_str("&#xD;"),
                // XML 1.0 cannot say these at all.
                control if control < ' ' && !matches!(control, '\n' | '\t') => self.text.push('\u{fffd}'),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Xml;

    #[test]
    fn text_is_escaped() {
        let text = Xml::error("A", "<b> & \"c\" \u{1}", "r");
        assert!(
            text.contains("<Message>&lt;b&gt; &amp; &quot;c&quot; \u{fffd}</Message>"),
            "{text}"
        );
    }

    #[test]
    fn lists_are_items() {
        let mut content = Xml::default();
        content.list("xSet", [1, 2], |xml, number| xml.leaf("n", number));
        let text = Xml::response("DescribeX", "r", &content);
        assert!(
            text.contains("<xSet><item><n>1</n></item><item><n>2</n></item></xSet></DescribeXResponse>"),
            "{text}"
        );
    }
}
