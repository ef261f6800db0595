#pragma once

#include <memory>
#include <utility>

namespace autoexec::inline v1 {

/// A value that is allocated when it is first changed: thousands of executions wait at once, and
/// most of them never have it, or only at their end. Until then it is equal to `T()`.
template <class T>
class Rare {
public:
    [[nodiscard]] const T& get() const
    {
        static const T none{};
        return value_ ? *value_ : none;
    }
    [[nodiscard]] T& edit()
    {
        if (!value_) value_ = std::make_unique<T>();
        return *value_;
    }

    Rare& operator=(T value)
    {
        edit() = std::move(value);
        return *this;
    }

    /// The value, which is `T()` afterwards.
    [[nodiscard]] std::unique_ptr<T> take() { return std::move(value_); }

    const T* operator->() const { return &get(); }
    T* operator->() { return &edit(); }

private:
    std::unique_ptr<T> value_;
};

}  // namespace autoexec::inline v1
