//! Counts lines, words and bytes of files, or of standard input, and prints JSON.

use std::io::{self, Read};
use std::process::ExitCode;

#[derive(Debug, PartialEq)]
struct Counts {
    lines: usize,
    words: usize,
    bytes: usize,
}

fn count(data: &[u8]) -> Counts {
    Counts {
        lines: data.iter().filter(|&&byte| byte == b'\n').count(),
        words: data.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).count(),
        bytes: data.len(),
    }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    if path != "-" {
        return std::fs::read(path);
    }
    let mut data = Vec::new();
    io::stdin().read_to_end(&mut data)?;
    Ok(data)
}

fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|letter| match letter {
            '"' | '\\' => format!("\\{letter}"),
            letter if (letter as u32) < 0x20 => format!("\\u{:04x}", letter as u32),
            letter => letter.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

fn main() -> ExitCode {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        paths.push("-".into());
    }
    let mut members = Vec::new();
    for path in &paths {
        match read(path).map(|data| count(&data)) {
            Ok(Counts { lines, words, bytes }) => members.push(format!(
                "{}:{{\"lines\":{lines},\"words\":{words},\"bytes\":{bytes}}}",
                quoted(path)
            )),
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{{{}}}", members.join(","));
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_by_any_space() {
        assert_eq!(count(b"one two\n\tthree\n"), Counts { lines: 2, words: 3, bytes: 15 });
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(count(b""), Counts { lines: 0, words: 0, bytes: 0 });
    }
}
