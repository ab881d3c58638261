-- KPIs that are made of one another are: a basket's value is net sales over baskets, retention is of
-- the households of the period before, no share is above 1, and so on. The audit computes what the
-- catalog says; this says what it must say. A row here is a figure that contradicts another: look at
-- the KPI's numerator_measure and denominator_measure in seeds/kpi_catalog.csv.
with kpi_figures as (

    select * from {{ ref('kpi_values') }}

),

catalog as (

    select * from {{ ref('kpi_catalog') }}

),

paired as (

    {% for kpi, numerator, denominator in [
        ('average_basket_value', 'net_sales', 'baskets'),
        ('lines_per_basket', 'lines', 'baskets'),
        ('sales_per_active_household', 'net_sales', 'active_households'),
        ('visits_per_active_household', 'baskets', 'active_households'),
        ('retailer_discount_rate', none, 'gross_sales'),
        ('private_label_share', none, 'net_sales'),
        ('promoted_sales_share', none, 'net_sales'),
        ('loyalty_discount_line_share', none, 'lines'),
    ] %}
        select
            '{{ kpi }}' as kpi_id,
            {{ "'" ~ numerator ~ "'" if numerator else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as numerator_kpi_id,
            '{{ denominator }}' as denominator_kpi_id
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- Both parts are KPIs of their own.
contradicting as (

    select
        whole.kpi_id,
        whole.grain,
        whole.period_start_date,
        whole.slice,
        whole.slice_value,
        'is not made of the KPIs that it should be' as finding
    from paired
    inner join kpi_figures as whole
        on paired.kpi_id = whole.kpi_id
    left join kpi_figures as numerators
        on
            paired.numerator_kpi_id = numerators.kpi_id
            and whole.grain = numerators.grain
            and whole.period_start_date = numerators.period_start_date
            and whole.slice = numerators.slice
            and whole.slice_value = numerators.slice_value
    left join kpi_figures as denominators
        on
            paired.denominator_kpi_id = denominators.kpi_id
            and whole.grain = denominators.grain
            and whole.period_start_date = denominators.period_start_date
            and whole.slice = denominators.slice
            and whole.slice_value = denominators.slice_value
    where
        whole.numerator <> numerators.value
        or whole.denominator <> denominators.value

),

discounts as (

    select
        rates.kpi_id,
        rates.grain,
        rates.period_start_date,
        rates.slice,
        rates.slice_value,
        'is not gross less net sales' as finding
    from kpi_figures as rates
    inner join kpi_figures as gross
        on
            rates.grain = gross.grain
            and rates.period_start_date = gross.period_start_date
            and rates.slice = gross.slice
            and rates.slice_value = gross.slice_value
    inner join kpi_figures as net
        on
            rates.grain = net.grain
            and rates.period_start_date = net.period_start_date
            and rates.slice = net.slice
            and rates.slice_value = net.slice_value
    where
        rates.kpi_id = 'retailer_discount_rate'
        and gross.kpi_id = 'gross_sales'
        and net.kpi_id = 'net_sales'
        and rates.numerator <> gross.value - net.value

),

-- The denominator of retention is the households of the period before, where that is a whole one.
retentions as (

    select
        retained.kpi_id,
        retained.grain,
        retained.period_start_date,
        retained.slice,
        retained.slice_value,
        'is not of the households of the period before' as finding
    from kpi_figures as retained
    inner join kpi_figures as households
        on
            retained.grain = households.grain
            and retained.slice = households.slice
            and retained.slice_value = households.slice_value
            and retained.period_start_date
            = {{ next_period_start_date('households.grain', 'households.period_start_date') }}
    where
        retained.kpi_id = 'household_retention_rate'
        and households.kpi_id = 'active_households'
        and (
            (households.is_complete_period and retained.denominator <> households.value)
            or (retained.is_complete_period and not households.is_complete_period and retained.value is not null)
        )

),

outside as (

    select
        kpi_figures.kpi_id,
        kpi_figures.grain,
        kpi_figures.period_start_date,
        kpi_figures.slice,
        kpi_figures.slice_value,
        'is a rate outside 0 to 1' as finding
    from kpi_figures
    inner join catalog
        on kpi_figures.kpi_id = catalog.kpi_id
    where
        catalog.unit = 'rate'
        and (kpi_figures.value < 0 or kpi_figures.value > 1)

)

select * from contradicting
union all
select * from discounts
union all
select * from retentions
union all
select * from outside
