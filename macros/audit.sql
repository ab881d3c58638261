{# The audit's own way from a UTC timestamp to a date in the business time zone, apart from
   business_date, which it checks. #}
{% macro audit_local_date(utc_timestamp) -%}
    {{- adapter.dispatch('audit_local_date', 'tally')(utc_timestamp, var('business_timezone')) -}}
{%- endmacro %}

{% macro default__audit_local_date(utc_timestamp, timezone) -%}
    cast(({{ utc_timestamp }} at time zone 'UTC') at time zone '{{ timezone }}' as date)
{%- endmacro %}

{% macro spark__audit_local_date(utc_timestamp, timezone) -%}
    to_date(convert_timezone('UTC', '{{ timezone }}', {{ utc_timestamp }}))
{%- endmacro %}

{# The first day of a month that is counted from year 0 (12 * year + month). #}
{% macro audit_month_start(month_number) -%}
    make_date(
        cast(floor(({{ month_number }} - 1) / 12) as integer),
        cast({{ month_number }} - 12 * floor(({{ month_number }} - 1) / 12) as integer),
        1
    )
{%- endmacro %}

{# Counts the rows beyond the first of each combination of columns. #}
{% macro audit_duplicates(raw, key) -%}
    select (select count(*) from {{ raw }}) - (select count(*) from (select distinct {{ key }} from {{ raw }}) as keys)
{%- endmacro %}
