-- Grain: one row a (grain, period_start_date, slice, slice_value) with sales.
{{ config(materialized='table') }}

{% set slices_of_grain = kpi_measures()['int_kpis__sales_measured'].slices %}

with lines as (

    select * from {{ ref('int_kpis__lines_attributed') }}

),

measured as (

    {% for grain, slices in slices_of_grain.items() %}
        {% set period = kpi_grains()[grain] %}
        {% set last_grain = loop.last %}
        {% for slice in slices %}
            {% set slice_value = "'all'" if slice == 'all' else slice %}
            select
                '{{ grain }}' as grain,
                {{ period }} as period_start_date,
                '{{ slice }}' as slice,
                {{ slice_value }} as slice_value,
                sum(gross_sales_usd) as gross_sales_usd,
                sum(net_sales_usd) as net_sales_usd,
                sum(loyalty_discount_usd + coupon_match_discount_usd) as retailer_discount_usd,
                count(*) as line_count,
                count(case when loyalty_discount_usd > 0 then 1 end) as loyalty_discount_line_count,
                sum(case when is_private_label then net_sales_usd else 0 end)
                    as private_label_net_sales_usd,
                sum(case when is_promoted then net_sales_usd else 0 end) as promoted_net_sales_usd,
                count(distinct basket_id) as basket_count,
                count(distinct household_id) as active_household_count,
                count(distinct case when first_purchase_date >= {{ period }} then household_id end)
                    as new_household_count
            from lines
            group by
                {{ period }}
                {{ ', ' ~ slice if slice != 'all' }}
            {{ 'union all' if not (loop.last and last_grain) }}
        {% endfor %}
    {% endfor %}

)

select * from measured
