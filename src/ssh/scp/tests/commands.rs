use super::*;

fn command(direction: Direction, options: Options, path: &str) -> String {
    String::from_utf8(client_command(direction, options, path.as_bytes()).unwrap()).unwrap()
}

#[test]
fn paths_are_quoted() {
    let none = Options::default();
    let all = Options { recursive: true, preserve: true, directory: true };
    assert_eq!(command(Direction::Get, none, "a b"), "scp -f 'a b'");
    assert_eq!(command(Direction::Put, all, "it's"), "scp -t -r -p -d 'it'\\''s'");
    assert_eq!(command(Direction::Get, none, "-rf"), "scp -f './-rf'");
    assert_eq!(command(Direction::Get, none, "$(id) `id` \\ \" * ;"), "scp -f '$(id) `id` \\ \" * ;'");
    assert_eq!(command(Direction::Get, none, ""), "scp -f '.'");
    assert_eq!(client_command(Direction::Get, none, b"a\nb"), Err(InvalidName::Newline));
    assert_eq!(client_command(Direction::Get, none, b"a\0b"), Err(InvalidName::Unsafe));
}

#[test]
fn the_server_reads_the_commands_of_the_client() {
    for path in ["a b", "it's", "-rf", "$(id) `id` \\ \" * ;", "''", "~"] {
        for direction in [Direction::Get, Direction::Put] {
            let options = Options { preserve: true, ..Options::default() };
            let parsed = ServerCommand::parse(command(direction, options, path).as_bytes()).unwrap();
            let path = if path.starts_with('-') { format!("./{path}") } else { path.into() };
            assert_eq!(parsed, ServerCommand { direction, options, paths: vec![path.into()] });
        }
    }
    let parsed = ServerCommand::parse(b"/usr/bin/scp -v -rpf -- -a \"b c\"").unwrap();
    assert_eq!(parsed.paths, [b"-a".to_vec(), b"b c".to_vec()]);
    assert!(parsed.options.recursive && parsed.options.preserve && parsed.direction == Direction::Get);
    for command in
        ["", "scp", "scp -t", "scp a", "scp -t a b", "scp -f -x a", "scp -t -f a", "scp -t 'a", "rscp -t a"]
    {
        assert_eq!(ServerCommand::parse(command.as_bytes()), None, "{command}");
    }
}

#[test]
fn words_follow_the_quoting_rules_of_shells() {
    let words = |command: &str| {
        let words = split_words(command.as_bytes())?;
        Some(words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect::<Vec<_>>().join("|"))
    };
    for (command, expected) in [
        ("  a\tb\nc ", "a|b|c"),
        ("a'b c'\"d e\"f\\ g", "ab cd ef g"),
        ("'' \"\" x", "||x"),
        ("'\\' \"\\a\\$\\`\\\"\\\\\" \\'", "\\|\\a$`\"\\|'"),
        ("a\\\nb \"c\\\nd\"", "ab|cd"),
        ("$HOME *;&|", "$HOME|*;&|"),
        ("", ""),
    ] {
        assert_eq!(words(command), Some(expected.into()), "{command:?}");
    }
    for command in ["'", "a 'b", "\"", "\"\\", "\\"] {
        assert_eq!(words(command), None, "{command:?}");
    }
}
