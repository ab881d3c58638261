with source as (

    select * from {{ source('online_shop', 'load_control_totals') }}

),

renamed as (

    select
        -- strings
        table_name,
        measure,
        column_name,
        value as measured_value,
        _dlt_load_id as load_id,

        -- timestamps
        {{ utc_timestamp('counted_at') }} as counted_at

    from source

)

select * from renamed
