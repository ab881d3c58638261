{# For an incremental model that is built business date by business date: takes out the dates that
   have no row in its input any more. No row is left there to say that they changed. #}
{% macro delete_dates_without_rows(input) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where business_date not in (select input.business_date from {{ input }} as input)
    {%- endif -%}
{%- endmacro %}
