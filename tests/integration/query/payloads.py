"""Some 300 texts that have broken other people's queries (T27), made from a few parts each.

Kinds: quotes and comments, always true, UNION, stacked statements, time and errors of PostgreSQL,
encodings, JSON paths, LIKE and regular expressions, identifiers, templates and formats, odd texts.
"""

_ENDS = ("'", '"', "')", '"))', "`", "\\'", "';", "$$", "%27", "''", "'||'", "\u02bc", "\u2019")
_TRUE = (" OR 1=1", " OR 'a'='a", " AND 1=1", "/**/OR/**/1=1", " oR TrUe", " || 1", "\tOR\n1=1")
_COMMENTS = ("--", "-- -", "#", "/*", ";--")
_CALLS = (
    *("pg_sleep(9)", "(SELECT pg_sleep(9))", "(SELECT 1 FROM pg_sleep(9))", "version()"),
    *("current_user", "current_setting('is_superuser')", "pg_read_file('/etc/passwd')"),
    *("lo_import('/etc/passwd')", "dblink('host=127.0.0.1','SELECT 1')", "query_to_xml('x',1,1,1)"),
    *("CAST(version() AS int)", "1/0", "(SELECT key_hash FROM ingest_keys LIMIT 1)::int"),
)
_STATEMENTS = (
    *("DROP TABLE system_logs", "TRUNCATE system_logs CASCADE", "DELETE FROM system_logs"),
    *("UPDATE system_logs SET message=''", "COPY system_logs TO PROGRAM 'id'", "SET ROLE postgres"),
    *("ALTER ROLE opslog_reader SUPERUSER", "SET session_replication_role=replica"),
    *("INSERT INTO ingest_keys DEFAULT VALUES", "RESET ROLE", "LISTEN x", "DO $$BEGIN END$$"),
)
_SINGLE = (
    *(
        "%",
        "_",
        "%%%%%%",
        "\\",
        "\\\\",
        "\\%",
        "*",
        "?",
        "^",
        "$",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
    ),
    *(
        "(?:",
        "(?=a)",
        "(?P<x>a)",
        "a{1,99999}",
        "a**",
        "[[:alpha:",
        "\\x",
        "\\1",
        "(a+)+$",
        "***=a",
    ),
    *("$.a", "$.**", "strict $[*]", "{a,b}", "a.b.c", "a->>'b'", "a#>>'{b}'", "a::text", "a@>b"),
    *("system_logs", "pg_catalog.pg_shadow", "information_schema.tables", "created_at; ", "1,2,3"),
    *("ARRAY[1]", "ROW(1)", "NULL", "null", "undefined", "true", "DEFAULT", "*/", "/*!50000 1*/"),
    *("{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "%s", "%(x)s", "%n%n", "{0}", "{x!r}", "%d" * 9),
    *("$1", "$1::text", "$99999", ":1", "?1", "@x", "E'\\x27'", "U&'\\0027'", "x'27'", "B'1'"),
    *("&#39;", "%2527", "%c0%a7", "\u0027", "\uff07", "\u2032", "\u200b'", "'\u202e", "\ufeff'"),
    *(
        "../../../etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "\r\nX-Evil: 1",
        "\n",
        "\t",
    ),
    *("0x27", "1e308", "-1", "-0", "1e999", "NaN", "Infinity", "9" * 40, "00", "1_000", "\u0661"),
    *(
        "true OR level:ERROR",
        'field:"',
        "NOT",
        "AND",
        "OR",
        "-",
        "level:>",
        "a:b:c",
        "/",
        "//",
        "/(/",
    ),
    *("attr.a:'x'", "resource.x:*", "created_at:>now()", '"unclosed', "(((", ")))", "a:/[/", "q:q"),
    *("'; --", "0", " ", "'" * 50, '"' * 50, "\\" * 51, "(" * 60, "x" * 2000, "é" * 1000),
)

PAYLOADS: tuple[str, ...] = (
    *(
        f"x{end}{true}{comment}"
        for end in _ENDS[:8]
        for true in _TRUE[:5]
        for comment in ("--", "#")
    ),
    *(f"x{end}" for end in _ENDS),
    *(f"x'{comment}" for comment in _COMMENTS),
    *(f"x' OR {call} --" for call in _CALLS),
    *(f"x'||{call}||'" for call in _CALLS),
    *(f"x' UNION SELECT {','.join(['NULL'] * count)} --" for count in (1, 2, 5, 23, 24)),
    *(f"x' UNION ALL SELECT {call} --" for call in _CALLS[:8]),
    *(f"x'; {statement}; --" for statement in _STATEMENTS),
    *(f"x); {statement}; --" for statement in _STATEMENTS),
    *_SINGLE,
)
