#pragma once

#include "autoexec/redaction.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace autoexec::view {

/// Made when it is needed, since that takes milliseconds.
class LazyRedactor {
public:
    std::string redact(std::string_view text)
    {
        if (text.empty()) return {};
        if (!redactor_) redactor_.emplace();
        return redactor_->redact(text);
    }

private:
    std::optional<Redactor> redactor_;
};

}  // namespace autoexec::view
