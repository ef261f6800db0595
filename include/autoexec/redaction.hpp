#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace autoexec::inline v1 {

/// Removes secrets from text before it is stored or shown.
///
/// Secrets are the exact values of environment variables named `*_TOKEN`, `*_KEY`, `*_SECRET`,
/// `*_PASSWORD` (8 characters or more; also in base64, in hex and URL-encoded), and text that
/// matches patterns: provider tokens, JWTs, PEM private keys, `Authorization` and URL credentials,
/// values of password/secret/token/api-key in `key=value`, `key: value`, `--key value` and JSON,
/// passwords in netrc entries, in `curl -u user:password` and in `-p` of the clients of MySQL and
/// MariaDB. Each becomes `***REDACTED***`.
///
/// Thread safety: immutable; safe to share.
class Redactor {
public:
    /// With the secrets of this process's environment.
    Redactor();

    /// With the secrets of the given environment (`name`, `value`).
    explicit Redactor(std::span<const std::pair<std::string, std::string>> environment);

    ~Redactor();
    Redactor(const Redactor&) = delete;
    Redactor& operator=(const Redactor&) = delete;

    /// The text without its secrets.
    [[nodiscard]] std::string redact(std::string_view text) const;

    /// True if `redact` would change the text.
    [[nodiscard]] bool finds_secret(std::string_view text) const;

    /// Redacts a stream in chunks. However the text is divided, the output is that of `redact` for
    /// the whole text, if no secret is longer than 64 KiB.
    class Stream {
    public:
        explicit Stream(std::shared_ptr<const Redactor> redactor);
        ~Stream();
        Stream(Stream&&) noexcept;
        Stream& operator=(Stream&&) noexcept;

        /// The part of the text so far that is safe to show and was not returned before.
        [[nodiscard]] std::string feed(std::string_view chunk);
        /// The rest. The stream is empty afterwards.
        [[nodiscard]] std::string finish();

    private:
        struct State;
        std::unique_ptr<State> state_;
    };

private:
    struct Patterns;
    std::unique_ptr<const Patterns> patterns_;
};

}  // namespace autoexec::inline v1
