{# An instant as a UTC timestamp without a time zone. dlt writes its own timestamps with one, and
   business_time would turn them the other way. #}
{% macro utc_timestamp(instant) -%}
    {{- adapter.dispatch('utc_timestamp', 'tally')(instant) -}}
{%- endmacro %}

{% macro default__utc_timestamp(instant) -%}
    timezone('UTC', {{ instant }})
{%- endmacro %}

{# Spark has instants alone, and shows them in UTC. #}
{% macro spark__utc_timestamp(instant) -%}
    {{ instant }}
{%- endmacro %}

{# A time that the source writes as text, with its zone ('2017-03-05T02:14:09Z'), as a UTC timestamp
   without a time zone. #}
{% macro utc_timestamp_of_text(text) -%}
    {{- adapter.dispatch('utc_timestamp_of_text', 'tally')(text) -}}
{%- endmacro %}

{% macro default__utc_timestamp_of_text(text) -%}
    timezone('UTC', cast({{ text }} as timestamp with time zone))
{%- endmacro %}

{% macro spark__utc_timestamp_of_text(text) -%}
    cast({{ text }} as timestamp)
{%- endmacro %}

{# A UTC timestamp as the clock in the shop shows it. The one place where the engines' time zone
   functions differ. #}
{% macro business_time(utc_timestamp, timezone=var('business_timezone')) -%}
    {{- adapter.dispatch('business_time', 'tally')(utc_timestamp, timezone) -}}
{%- endmacro %}

{% macro default__business_time(utc_timestamp, timezone) -%}
    timezone('{{ timezone }}', timezone('UTC', {{ utc_timestamp }}))
{%- endmacro %}

{% macro spark__business_time(utc_timestamp, timezone) -%}
    from_utc_timestamp({{ utc_timestamp }}, '{{ timezone }}')
{%- endmacro %}

{# The business date of a UTC timestamp. #}
{% macro business_date(utc_timestamp) -%}
    cast({{ business_time(utc_timestamp) }} as date)
{%- endmacro %}

{# The retailer's running week number of a business date; weeks start on Monday. #}
{% macro business_week(business_date, first_week_start_date=var('first_business_week_start_date')) -%}
    cast(
        floor({{ days_between("date '" ~ first_week_start_date ~ "'", business_date) }} / 7)
        + 1 as integer
    )
{%- endmacro %}

{# The Monday that a running week number starts on. #}
{% macro business_week_start_date(business_week, first_week_start_date=var('first_business_week_start_date')) -%}
    cast(
        {{ dbt.dateadd('day', '7 * (' ~ business_week ~ ' - 1)', "date '" ~ first_week_start_date ~ "'") }}
        as date
    )
{%- endmacro %}
