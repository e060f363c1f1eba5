// A SQL shell with the extension linked in, because neither Debian nor npm has a DuckDB command line.
//
// Reads statements from the terminal (line editing and history by libedit), from standard input, from files (.read) or
// from the command line, and prints results as DuckDB's box tables. Interactive: errors are shown and the shell goes
// on, Ctrl-C stops the running query or drops the typed text, and long queries show a progress bar. Otherwise: tables
// are printed whole, errors go to standard error, and the exit code is 1 when there was one.
#include "duckdb.hpp"
#include "duckdb/common/box_renderer.hpp"
#include "duckdb/parser/parser.hpp"

#include "lm_diskann_extension.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <editline/readline.h>
#include <fstream>
#include <iostream>
#include <unistd.h>

using namespace duckdb; // NOLINT: the shell is DuckDB's user, not its extension

namespace {

constexpr const char *USAGE = R"(usage: lm_diskann_shell [OPTIONS] [DATABASE [SQL]]
  -c SQL       run SQL and exit; may be given several times
  -readonly    open the database read-only
  -unsigned    allow LOAD of unsigned extensions
  -bail        stop at the first error
  -help        print this text
)";

constexpr const char *COMMANDS = R"(.exit, .quit      leave the shell
.help             print this text
.maxrows N        print at most N rows of a table
.read FILE        run the statements of a file
.tables           list tables and views
.timer on|off     print the time of every statement
)";

constexpr idx_t UNLIMITED = 1000000000;
constexpr int HISTORY_LINES = 1000;

//! The connection that Ctrl-C interrupts, and whether it did; the signal handler only touches these two.
std::atomic<Connection *> interruptible {nullptr};
std::atomic<bool> was_interrupted {false};

void OnInterrupt(int) {
	was_interrupted = true;
	if (auto *connection = interruptible.load()) {
		connection->Interrupt();
	}
}

void HandleInterrupts() {
	// Without SA_RESTART, so that a prompt waiting for input returns too.
	struct sigaction action {};
	action.sa_handler = OnInterrupt;
	sigaction(SIGINT, &action, nullptr);
}

struct Options {
	string database;
	vector<string> commands;
	bool is_read_only = false;
	bool allows_unsigned = false;
	bool stops_at_error = false;
};

//! Where lines come from; false at the end of the input.
using LineSource = std::function<bool(string &line, bool is_continuation)>;

class Shell {
public:
	Shell(DuckDB &database, const Options &options_p, bool is_interactive_p)
	    : connection(database), options(options_p), is_interactive(is_interactive_p) {
		if (is_interactive) {
			max_rows = 40;
			HandleInterrupts();
			interruptible = &connection;
			connection.Query("SET enable_progress_bar = true");
		}
	}
	~Shell() {
		interruptible = nullptr;
	}
	Shell(const Shell &) = delete;
	Shell &operator=(const Shell &) = delete;

	//! Runs statements and dot commands until the source ends, .exit, or an error that stops.
	void Run(const LineSource &next_line);
	//! Runs every statement of `sql`.
	void RunSql(const string &sql);

	bool HasFailed() const {
		return has_failed;
	}
	bool IsDone() const {
		return is_done;
	}

private:
	//! True when the last thing in `sql` is a semicolon, comments aside, and no comment or string is open.
	static bool EndsStatement(const string &sql);
	void RunCommand(const string &line);
	void RunStatement(unique_ptr<SQLStatement> statement);
	void Print(MaterializedQueryResult &result);
	void ListTables();
	void ReadScript(const string &path);
	void Fail(const string &message);

	Connection connection;
	const Options &options;
	const bool is_interactive;
	idx_t max_rows = UNLIMITED;
	bool prints_time = false;
	bool has_failed = false;
	bool is_done = false;
};

bool Shell::EndsStatement(const string &sql) {
	const auto tokens = Parser::Tokenize(sql);
	if (tokens.empty() || sql[tokens.back().start] != ';') {
		return false;
	}
	try {
		Parser().ParseQuery(sql);
	} catch (std::exception &error) {
		// The tokens end before a comment that is still open; only the parser says so.
		return !StringUtil::Contains(ErrorData(error).RawMessage(), "unterminated");
	}
	return true;
}

void Shell::Run(const LineSource &next_line) {
	string pending;
	string line;
	while (!is_done && next_line(line, !pending.empty())) {
		if (was_interrupted.exchange(false)) {
			pending.clear();
			continue;
		}
		if (pending.empty() && StringUtil::StartsWith(line, ".")) {
			RunCommand(line);
			continue;
		}
		pending += line + "\n";
		if (StringUtil::Contains(line, ";") && EndsStatement(pending)) {
			RunSql(pending);
			pending.clear();
		}
	}
	if (!is_done) {
		RunSql(pending);
	}
}

void Shell::RunSql(const string &sql) {
	vector<unique_ptr<SQLStatement>> statements;
	try {
		statements = connection.ExtractStatements(sql);
	} catch (std::exception &error) {
		Fail(ErrorData(error).Message());
		return;
	}
	for (auto &statement : statements) {
		RunStatement(std::move(statement));
		if (is_done || was_interrupted.exchange(false)) {
			return;
		}
	}
}

void Shell::RunStatement(unique_ptr<SQLStatement> statement) {
	const auto start = std::chrono::steady_clock::now();
	auto result = connection.Query(std::move(statement));
	const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
	if (result->HasError()) {
		Fail(result->GetError());
	} else {
		Print(*result);
	}
	if (prints_time) {
		printf("Run Time (s): real %.3f\n", elapsed.count());
	}
	fflush(stdout);
}

void Shell::Print(MaterializedQueryResult &result) {
	if (result.statement_type == StatementType::EXPLAIN_STATEMENT) {
		// Plans are drawings of their own: the second column, as it is.
		for (idx_t row = 0; row < result.RowCount(); row++) {
			printf("%s\n", result.GetValue(1, row).ToString().c_str());
		}
		return;
	}
	if (result.properties.return_type != StatementReturnType::QUERY_RESULT || result.ColumnCount() == 0) {
		return;
	}
	BoxRendererConfig config;
	config.max_rows = max_rows;
	// Zero means as wide as the terminal; a script's output loses no column.
	config.max_width = is_interactive && isatty(STDOUT_FILENO) ? 0 : UNLIMITED;
	printf("%s", result.ToBox(*connection.context, config).c_str());
}

void Shell::RunCommand(const string &line) {
	const auto name = line.substr(0, line.find(' '));
	auto argument = line.substr(name.size());
	StringUtil::Trim(argument);
	if (name == ".exit" || name == ".quit") {
		is_done = true;
	} else if (name == ".help") {
		printf("%s", COMMANDS);
	} else if (name == ".tables") {
		ListTables();
	} else if (name == ".read" && !argument.empty()) {
		ReadScript(argument);
	} else if (name == ".timer" && (argument == "on" || argument == "off")) {
		prints_time = argument == "on";
	} else if (name == ".maxrows" && StringUtil::CharacterIsDigit(argument.c_str()[0])) {
		max_rows = std::strtoull(argument.c_str(), nullptr, 10);
	} else {
		Fail("Unknown command or wrong argument \"" + line + "\": .help lists the commands");
	}
}

void Shell::ListTables() {
	auto result = connection.Query("SELECT table_name FROM information_schema.tables ORDER BY table_name");
	for (auto &row : *result) {
		printf("%s\n", row.GetValue<string>(0).c_str());
	}
}

void Shell::ReadScript(const string &path) {
	std::ifstream file(path);
	if (!file) {
		Fail("Cannot read file \"" + path + "\"");
		return;
	}
	Run([&file](string &line, bool) { return bool(std::getline(file, line)); });
}

void Shell::Fail(const string &message) {
	fflush(stdout);
	// The terminal has echoed ^C behind what stood there.
	fprintf(stderr, "%s%s\n", was_interrupted ? "\n" : "", message.c_str());
	has_failed = true;
	is_done = is_done || options.stops_at_error;
}

//! Lines typed at a terminal, with history kept in the home folder.
void RunInteractively(Shell &shell) {
	const auto *home = getenv("HOME");
	const string history_path = home ? string(home) + "/.lm_diskann_history" : "";
	rl_initialize();
	using_history();
	stifle_history(HISTORY_LINES);
	read_history(history_path.c_str());
	printf("DuckDB %s with lm_diskann %s; .help lists commands\n", DuckDB::LibraryVersion(),
	       LmDiskannExtension().Version().c_str());
	shell.Run([](string &line, bool is_continuation) {
		char *text = readline(is_continuation ? ". " : "D ");
		if (!text) {
			printf("\n");
			line.clear();
			return was_interrupted.load();
		}
		line = text;
		if (*text) {
			add_history(text);
		}
		free(text); // NOLINT: readline allocates with malloc
		return true;
	});
	if (home) {
		write_history(history_path.c_str());
	}
}

//! False when the arguments are wrong.
bool ParseArguments(int argc, char **argv, Options &options) {
	idx_t positional_count = 0;
	for (int i = 1; i < argc; i++) {
		string argument = argv[i];
		if (StringUtil::StartsWith(argument, "--")) {
			argument = argument.substr(1);
		}
		if (argument == "-c" && i + 1 < argc) {
			options.commands.emplace_back(argv[++i]);
		} else if (argument == "-readonly") {
			options.is_read_only = true;
		} else if (argument == "-unsigned") {
			options.allows_unsigned = true;
		} else if (argument == "-bail") {
			options.stops_at_error = true;
		} else if (StringUtil::StartsWith(argument, "-") || positional_count == 2) {
			return false;
		} else if (positional_count++ == 0) {
			options.database = argument;
		} else {
			options.commands.push_back(argument);
		}
	}
	return true;
}

int Main(const Options &options) {
	DBConfig config;
	config.SetOptionByName("allow_unsigned_extensions", Value(options.allows_unsigned));
	if (options.is_read_only) {
		config.options.access_mode = AccessMode::READ_ONLY;
	}
	DuckDB database(options.database, &config);
	database.LoadStaticExtension<LmDiskannExtension>();

	const bool is_interactive = options.commands.empty() && isatty(STDIN_FILENO);
	Shell shell(database, options, is_interactive);
	for (auto &command : options.commands) {
		if (!shell.IsDone()) {
			shell.RunSql(command);
		}
	}
	if (is_interactive) {
		RunInteractively(shell);
	} else if (options.commands.empty()) {
		shell.Run([](string &line, bool) { return bool(std::getline(std::cin, line)); });
	}
	return shell.HasFailed() && !is_interactive ? 1 : 0;
}

} // namespace

int main(int argc, char **argv) {
	Options options;
	if (argc > 1 && (string(argv[1]) == "-help" || string(argv[1]) == "--help")) {
		printf("%s", USAGE);
		return 0;
	}
	if (!ParseArguments(argc, argv, options)) {
		fprintf(stderr, "%s", USAGE);
		return 1;
	}
	try {
		return Main(options);
	} catch (std::exception &error) {
		fprintf(stderr, "%s\n", ErrorData(error).Message().c_str());
		return 1;
	}
}
