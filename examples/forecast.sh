#!/bin/sh
# Forecast the monthly airline passengers of 1949 to 1960 by exponential smoothing (Holt and Winters), a month ahead:
#
#     sh forecast.sh --season=multiplicative --level=0.3 --trend=0.05 --damping=1.0 --seasonal=0.4
#
# Prints a line of JSON per year, with the error so far, and the errors of all years from 1951 at the end.
set -eu
data=$(dirname "$0")/airline_passengers.txt
options=
for parameter; do
    options="$options -v ${parameter#--}"
done

# The parameters hold no blanks, so splitting $options into words is what is wanted.
# shellcheck disable=SC2086
exec awk $options '
function factor(month) { return season == "multiplicative" ? s[month] : 1 }
function summand(month) { return season == "additive" ? s[month] : 0 }

NR == 1 {  # the first year sets off the level and the seasons
    for (m = 1; m <= NF; m++) mean += $m / NF
    for (m = 1; m <= NF; m++) s[m] = season == "additive" ? $m - mean : $m / mean
    l = mean
    next
}
{
    for (m = 1; m <= NF; m++) {
        forecast = (l + damping * b) * factor(m) + summand(m)
        error = $m - forecast
        if (NR > 2) { squares += error * error; parts += (error < 0 ? -error : error) / $m; n++ }
        before = l
        l = level * ($m - summand(m)) / factor(m) + (1 - level) * (l + damping * b)
        b = trend * (l - before) + (1 - trend) * damping * b
        if (season == "additive") s[m] = seasonal * ($m - l) + (1 - seasonal) * s[m]
        if (season == "multiplicative") s[m] = seasonal * $m / l + (1 - seasonal) * s[m]
    }
    if (n) printf "{\"step\": %d, \"rmse\": %.6f}\n", NR - 2, sqrt(squares / n)
}
END { printf "{\"rmse\": %.6f, \"percent\": %.4f}\n", sqrt(squares / n), 100 * parts / n }
' "$data"
