{# For an incremental model that is built period by period: takes out the periods that lost rows of
   their input, of which no row is left to say so. What is taken out is built again, with what is left.

   A period differs that its input has no row of, or another number of rows or sum of an amount. #}
{% macro delete_periods_that_differ(period, input, row_count=none, amounts=[]) -%}
    {%- if is_incremental() -%}
        {%- set built = ['1' if row_count is none else row_count] -%}
        {%- set now = ['1' if row_count is none else 'count(*)'] -%}
        {%- for amount in amounts -%}
            {%- do built.append('sum(' ~ amount ~ ')') -%}
            {%- do now.append('sum(' ~ amount ~ ')') -%}
        {%- endfor -%}
        {#- Rows are compared as sets: a period whose row is in both stays. -#}
        delete from {{ this }}
        where {{ period }} not in (
            select agreeing.{{ period }}
            from (
                select {{ period }}, {{ built | join(', ') }} from {{ this }} group by {{ period }}
                intersect
                select {{ period }}, {{ now | join(', ') }} from {{ input }} group by {{ period }}
            ) as agreeing
        )
    {%- endif -%}
{%- endmacro %}
